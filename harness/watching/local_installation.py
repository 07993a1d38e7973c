"""What `rbee-keeper install` leaves on this machine, and the users who run it."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from harness.world.commands import INSTALLED
from harness.world.world import World

_NOBODY = 65534
_SETTING = re.compile(r"^#(?=\w+ = )", re.MULTILINE)
_ADVICE = re.compile(r"^→ [^\n]*?(?:: )(.+)$", re.MULTILINE)


def empty_home(world: World) -> None:
    shutil.rmtree(world.home)
    world.home.mkdir()


def without_root(world: World) -> None:
    """From now on start everything as a user who may write only in this HOME.

    That user may read everything, since the programs may be in a folder of root's.
    """
    if os.geteuid() != 0:
        return
    world.root.chmod(0o755)
    for path in (world.home, world.tmp, *world.home.rglob("*")):
        os.chown(path, _NOBODY, _NOBODY)
    ids = (f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups")
    reads = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    world.command_prefix = ["setpriv", *ids, *reads]


def with_config_files(world: World, names: list[str]) -> dict[str, int]:
    """Write the config files RBEE_CONFIG, user and system, each with another queue limit.

    For the system's, /etc is a copy of this machine's that only the world's programs see.
    """
    limits = {"RBEE_CONFIG": 101, "user": 102, "system": 103}
    etc = world.root / "etc"
    places = {
        "RBEE_CONFIG": world.root / "named.toml",
        "user": world.config,
        "system": etc / "rbee" / "config.toml",
    }
    if "system" in names:
        shutil.copytree("/etc", etc, symlinks=True, ignore_dangling_symlinks=True)
        mount = 'mount --bind "$1" /etc && shift && exec "$@"'
        world.command_prefix = ["unshare", "--mount", "sh", "-c", mount, "sh", str(etc)]
    world.config.unlink()
    for name in names:
        places[name].parent.mkdir(parents=True, exist_ok=True)
        places[name].write_text(f"[queen]\nqueue_limit = {limits[name]}\n")
    if "RBEE_CONFIG" in names:
        world.extra_environment["RBEE_CONFIG"] = str(places["RBEE_CONFIG"])
    return limits


def with_own_system_folders(world: World) -> Path:
    """From now on everything sees the folders in the returned one as /etc, /usr/local/bin and
    /var/lib; nothing outside the world does."""
    machine = world.root / "machine"
    for name in ("etc", "usr/local/bin"):
        shutil.copytree(f"/{name}", machine / name, symlinks=True, ignore_dangling_symlinks=True)
    (machine / "var/lib").mkdir(parents=True)
    places = ("/etc", "/usr/local/bin", "/var/lib")
    mounts = " && ".join(f'mount --bind "$1{place}" {place}' for place in places)
    command = f'{mounts} && shift && exec "$@"'
    world.command_prefix = ["unshare", "--mount", "sh", "-c", command, "sh", str(machine)]
    return machine


def unexplained(config: Path) -> list[str]:
    """Return the lines with a setting, or an example of one, above which there is no comment."""
    found, above = [], ""
    for line in config.read_text().splitlines():
        is_setting = re.match(r"#?(# For example: )?\w+ = ", line)
        if is_setting and not above.startswith("# "):
            found.append(line)
        above = line
    return found


def check_programs(world: World, folder: Path) -> None:
    """Check that each prints its name and a version, and that the versions are the same."""
    versions = set()
    for name in INSTALLED.values():
        argv = [str(folder / name), "--version"]
        ran = subprocess.run(
            argv, env=world.environment(), capture_output=True, text=True, timeout=20
        )
        found = re.fullmatch(rf"{name}, version (\S+)\n", ran.stdout)
        assert found, (ran.stdout, ran.stderr)
        versions.add(found[1])
    assert len(versions) == 1, versions


def settings_in_force(world: World, config: Path | None) -> dict[str, Any]:
    """Return the settings as a program shows them, with that config file, or without any."""
    environment = {**world.environment(), "HOME": str(world.root / "nobody")}
    environment |= {"RBEE_CONFIG": str(config)} if config else {}
    environment.pop("XDG_CONFIG_HOME", None)
    argv = [*world.commands.argv("queen"), "daemon", "--show-settings"]
    ran = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=20)
    assert ran.returncode == 0, ran.stderr
    return tomllib.loads(ran.stdout)


def uncommented(world: World, config: Path) -> tuple[Path, set[tuple[str, str]]]:
    """Return the file with every setting uncommented, and all settings that it names, including
    those without a default, which are shown by an example."""
    text = config.read_text()
    file = world.root / "taken-in.toml"
    file.write_text(_SETTING.sub("", text))
    named, section = set(), ""
    for line in text.splitlines():
        if found := re.fullmatch(r"\[(\w+)\]", line):
            section = found[1]
        if found := re.match(r"#?(?: For example: )?(\w+) = ", line):
            named.add((section, found[1]))
    return file, named


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    """Return every path in a folder, with its mode and its content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        held = str(path.readlink()) if path.is_symlink() else ""
        if not held and path.is_file():
            held = path.read_text()
        found[str(path)] = (path.lstat().st_mode, held)
    return found


def advised_command(text: str, about: str) -> str:
    """Return the command that the step about this advises."""
    (step,) = [line for line in text.splitlines() if line.startswith("→ ") and about in line]
    found = _ADVICE.match(step)
    assert found, step
    return found[1]


def run_in_shell(world: World, shell: str, line: str) -> None:
    """Run it in an interactive shell, which reads the user's own startup files."""
    _shell(world, shell, line)


def path_in_shell(world: World, shell: str, program: str) -> str:
    """Return where a new shell finds a program."""
    return _shell(world, shell, f"command -v {program}").splitlines()[-1]


def _shell(world: World, shell: str, line: str) -> str:
    argv = [shell, "-i", "-c", line]
    environment = world.environment()
    ran = subprocess.run(
        argv,
        env=environment,
        cwd=world.tmp,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        start_new_session=True,
    )
    assert ran.returncode == 0, (ran.stdout, ran.stderr)
    return ran.stdout
