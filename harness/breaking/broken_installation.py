"""What goes wrong with an installation: planted before the doctor comes."""

import os
import secrets
import signal
from pathlib import Path

from harness.watching import second_installation
from harness.world.run import Run
from harness.world.world import World

_LIBRARIES = ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")
_NOISE = 40_000


def write_key(world: World, text: str, mode: int = 0o600) -> None:
    world.key_file.parent.mkdir(mode=0o700, exist_ok=True)
    world.key_file.write_text(text + "\n")
    world.key_file.chmod(mode)


def open_state(world: World) -> None:
    world.key_file.parent.mkdir()
    world.key_file.parent.chmod(0o755)


def state_of_root(world: World) -> None:
    """Root has made it, as with a careless sudo; others may look."""
    world.key_file.parent.mkdir()
    os.chown(world.key_file.parent, 0, 0)
    world.key_file.parent.chmod(0o755)


def damage_registry(world: World) -> None:
    """Noise over the whole file, as after a disk's death."""
    spoil_node(world, "workstation", "that is switched off")
    file = world.home / ".rbee" / "beehives.db"
    assert file.stat().st_size > 0, file
    file.write_bytes(secrets.token_bytes(_NOISE))


def stands_still(world: World, program: str) -> Run:
    """A daemon that goes on when the scenario ends."""
    run = world.start_daemon(f"{program} daemon")
    run.send(signal.SIGSTOP)
    world.closes(lambda: run.send(signal.SIGCONT))
    return run


def queen_with_another_key(world: World) -> None:
    world.start_daemon("queen-rbee daemon")
    write_key(world, secrets.token_urlsafe(32))


def faketime() -> Path | None:
    """The library that tells a program another time, where it is installed."""
    for folder in _LIBRARIES:
        for found in sorted(Path(folder).glob("**/faketime/libfaketime.so.1")):
            return found
    return None


def spoil_node(world: World, name: str, how: str) -> None:
    """A node that was added, `with version 0.0.9`, `that is switched off`, `without rbee`, or
    `whose clock is 2 hours ahead`."""
    node = world.add_node(name)
    if how.startswith("with version "):
        second_installation.install(node, how.split()[-1])
    elif how == "without rbee":
        node.path = ["/usr/local/bin", "/usr/bin", "/bin"]
    elif how.startswith("whose clock"):
        hours = how.split()[3]
        node.more |= {
            "LD_PRELOAD": str(faketime()),
            "FAKETIME": f"+{hours}h",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
    else:
        assert how == "that is switched off", how
    add = f"rbee-keeper setup add-node --name {name} --ssh-host {node.host}"
    run = world.start(add, more=["--accept-host-key", node.server.fingerprint])
    assert run.wait(within=60) == 0, run.stderr.text
    if how == "that is switched off":
        node.server.refuse()
