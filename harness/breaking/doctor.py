"""What goes wrong with an installation, and what `rbee-keeper doctor` says about it."""

import json
import os
import re
import secrets
import signal
from dataclasses import dataclass, field
from pathlib import Path

from harness.ssh.node import add_node
from harness.watching import node_installation
from harness.world.run import Run
from harness.world.world import World

_SIGNS = {"✓": "fine", "!": "a warning", "✗": "a problem"}
_STATES = {"ok": "fine", "warning": "a warning", "problem": "a problem"}


@dataclass
class Finding:
    name: str
    state: str
    message: str
    advice: list[str] = field(default_factory=list)


def read_report(text: str) -> tuple[list[Finding], dict[str, int]]:
    """Return the findings, and the counts in the last line."""
    found: list[Finding] = []
    *lines, last = text.splitlines()
    for line in lines:
        if line.startswith("  → "):
            found[-1].advice.append(line.removeprefix("  → "))
            continue
        sign, rest = line[0], line[2:]
        name, _, message = rest.partition(": ")
        found.append(Finding(name, _SIGNS[sign], message))
    counted = re.fullmatch(r"(1 problem|(?!1 )\d+ problems), (1 warning|(?!1 )\d+ warnings)", last)
    assert counted, last
    problems, warnings = (int(each.split()[0]) for each in counted.groups())
    return found, {"problems": problems, "warnings": warnings}


def read_json_report(text: str) -> tuple[list[Finding], dict[str, int]]:
    document = json.loads(text)
    found = [
        Finding(each["name"], _STATES[each["state"]], each["said"], each["advice"])
        for each in document["findings"]
    ]
    return found, {name: document[name] for name in ("problems", "warnings")}


def only_finding(findings: list[Finding], name: str, state: str) -> Finding:
    """Return the only finding with that name and state."""
    wanted = [each for each in findings if (each.name, each.state) == (name, state)]
    assert len(wanted) == 1, (name, state, findings)
    return wanted[0]


_LIBRARIES = ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")
_NOISE_BYTES = 40_000


def write_key(world: World, text: str, mode: int = 0o600) -> None:
    world.key_file.parent.mkdir(mode=0o700, exist_ok=True)
    world.key_file.write_text(text + "\n")
    world.key_file.chmod(mode)


def make_state_readable(world: World) -> None:
    world.key_file.parent.mkdir()
    world.key_file.parent.chmod(0o755)


def make_file_writable(world: World) -> None:
    """Anybody may write a file in the state folder."""
    world.key_file.parent.mkdir(mode=0o700)
    file = world.key_file.parent / "history"
    file.touch()
    file.chmod(0o666)


def put_on_path(world: World, program: str, version: str) -> None:
    """On PATH is first another one of this name and version, then those of this installation."""
    folder = world.home / "bin"
    folder.mkdir()
    other = folder / program
    other.write_text(f"#!/bin/sh\necho {program}, version {version}\n")
    other.chmod(0o755)
    world.extra_environment["PATH"] = f"{folder}:{world.environment()['PATH']}"


def make_config_writable(world: World) -> None:
    """Anybody in the owner's group may write the config file."""
    world.config.chmod(0o664)


def make_state_owned_by_root(world: World) -> None:
    """Create the state folder as root would with a careless sudo: readable for others."""
    world.key_file.parent.mkdir()
    os.chown(world.key_file.parent, 0, 0)
    world.key_file.parent.chmod(0o755)


def damage_registry(world: World) -> None:
    """Overwrite the whole file with noise, as after a disk failure."""
    add_faulty_node(world, "workstation", "that is switched off")
    file = world.home / ".rbee" / "beehives.db"
    assert file.stat().st_size > 0, file
    file.write_bytes(secrets.token_bytes(_NOISE_BYTES))


def start_suspended(world: World, program: str) -> Run:
    """Start a daemon and stop it with SIGSTOP; it continues when the scenario ends."""
    run = world.start_daemon(f"{program} daemon")
    run.send(signal.SIGSTOP)
    world.add_cleanup(lambda: run.send(signal.SIGCONT))
    return run


def start_queen_with_other_key(world: World) -> None:
    world.start_daemon("queen-rbee daemon")
    write_key(world, secrets.token_urlsafe(32))


def faketime() -> Path | None:
    """Return the library that shows a program another time, where it is installed."""
    for folder in _LIBRARIES:
        for found in sorted(Path(folder).glob("**/faketime/libfaketime.so.1")):
            return found
    return None


def add_faulty_node(world: World, name: str, how: str) -> None:
    """Add a node `with version 0.0.9`, `that is switched off`, `without rbee`, or `whose clock is 2
    hours ahead` (or minutes, or seconds)."""
    node = add_node(world, name)
    if how.startswith("with version "):
        node_installation.install_version(node, how.split()[-1])
    elif how == "without rbee":
        node.path = ["/usr/local/bin", "/usr/bin", "/bin"]
    elif how.startswith("whose clock"):
        count, unit = how.split()[3:5]
        node.extra_environment |= {
            "LD_PRELOAD": str(faketime()),
            "FAKETIME": f"+{count}{unit[0]}",
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
