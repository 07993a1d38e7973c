"""Where the parts of an installation belong, and the commands that a person types for them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import msgspec

PROGRAMS = ("rbee-keeper", "queen-rbee", "rbee-hive", "llm-worker-rbee")
ACCOUNT = "rbee"
SYSTEM_HOME = "/var/lib/rbee"


class InstallPaths(msgspec.Struct, frozen=True):
    """`root` is the beginning of the other paths when a system is installed elsewhere than in /.
    `state` is the folder of keys and databases; a system has none, each account has its own."""

    programs: Path
    config: Path
    models: Path
    units: Path
    state: Path | None = None
    root: Path | None = None

    def on_system(self, path: Path) -> str:
        """A path as the installed system will call it."""
        if self.root is not None and path.is_relative_to(self.root):
            return str(Path("/") / path.relative_to(self.root))
        return str(path)


def system_paths(root: Path | None) -> InstallPaths:
    """For every account of a machine."""
    top = root or Path("/")
    return InstallPaths(
        programs=top / "usr/local/bin",
        config=top / "etc/rbee/config.toml",
        models=top / SYSTEM_HOME[1:] / "models",
        units=top / "etc/systemd/system",
        root=root,
    )


def user_paths(home: Path, config_home: Path, models: Path) -> InstallPaths:
    """For one person."""
    return InstallPaths(
        programs=home / ".local" / "bin",
        config=config_home / "rbee" / "config.toml",
        models=models,
        units=config_home / "systemd" / "user",
        state=home / ".rbee",
    )


def is_on_path(folder: Path, path: str) -> bool:
    """Whether a shell with this PATH looks for programs there."""
    return str(folder) in {each.rstrip("/") for each in path.split(":")}


def path_command(folder: Path, home: Path, shell: str) -> str:
    """The command that puts `folder` on PATH for good in a person's `shell`."""
    name = Path(shell).name
    if name == "fish":
        return f"fish_add_path {shlex.quote(str(folder))}"
    inside = folder.is_relative_to(home)
    written = f"$HOME/{folder.relative_to(home)}" if inside else str(folder)
    file = {"bash": "~/.bashrc", "zsh": "~/.zshrc"}.get(name, "~/.profile")
    line = f'export PATH="{written}:$PATH"'
    return f"echo {shlex.quote(line)} >> {file}"


def sudo_command(keeper: Path, flags: Sequence[str]) -> str:
    """The same command as root: by its path, because sudo has a PATH of its own."""
    return shlex.join(["sudo", str(keeper), "install", "--system", *flags])


def share_command(folder: str) -> str:
    """The command that lets a group write a folder; its owner still may."""
    name = shlex.quote(folder)
    return (
        f"sudo groupadd --system --force {ACCOUNT} && sudo chgrp -R {ACCOUNT} {name}"
        f" && sudo find {name} -type d -exec chmod g+rwxs {{}} +"
        f' && sudo usermod --append --groups {ACCOUNT} "$USER"'
    )


def first_start(systemctl: str, units: Sequence[str]) -> str:
    """The command that starts the units now, and whenever the machine or the session starts."""
    names = " ".join(unit.removesuffix(".service") for unit in units)
    return f"{systemctl} daemon-reload && {systemctl} enable --now {names}"
