"""Where an installation's parts belong."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from rbee.keeper.install import paths

HOME = Path("/home/me")
BIN = HOME / ".local" / "bin"


def test_a_path_below_another_root_is_named_as_on_that_system() -> None:
    target = paths.system_paths(Path("/srv/image"))
    assert target.programs == Path("/srv/image/usr/local/bin")
    assert target.on_system(target.models) == "/var/lib/rbee/models"
    assert target.on_system(Path("/opt/rbee")) == "/opt/rbee"


def test_a_system_in_its_own_place_has_plain_paths() -> None:
    target = paths.system_paths(None)
    assert (target.config, target.on_system(target.config)) == (
        Path("/etc/rbee/config.toml"),
        "/etc/rbee/config.toml",
    )


@pytest.mark.parametrize(
    ("path", "there"),
    [("/usr/bin:/home/me/.local/bin", True), ("/home/me/.local/bin/:/bin", True), ("/bin", False)],
)
def test_path_is_read_as_a_shell_reads_it(path: str, there: bool) -> None:
    assert paths.is_on_path(BIN, path) is there


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("/bin/bash", "~/.bashrc"),
        ("/usr/bin/zsh", "~/.zshrc"),
        ("", "~/.profile"),
        ("/bin/sh", "~/.profile"),
    ],
)
def test_each_shell_has_its_file(shell: str, file: str) -> None:
    assert paths.path_command(BIN, HOME, shell).endswith(f">> {file}")


def test_fish_has_a_command_for_it() -> None:
    assert paths.path_command(BIN, HOME, "/usr/bin/fish") == "fish_add_path /home/me/.local/bin"


def test_the_advised_line_extends_path(tmp_path: Path) -> None:
    folder = tmp_path / "a b" / "bin"
    line = paths.path_command(folder, tmp_path, "/bin/bash").replace("~/.bashrc", "rc")
    subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True)
    found = subprocess.run(
        ["bash", "-c", '. ./rc; echo "$PATH"'],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == f"{folder}:/usr/bin:/bin"


def test_the_command_for_root_is_complete() -> None:
    command = paths.sudo_command(Path("/my venv/rbee-keeper"), ["--root", "/a b"])
    words = ["sudo", "/my venv/rbee-keeper", "install", "--system", "--root", "/a b"]
    assert shlex.split(command) == words


def test_every_place_of_a_person_and_of_a_system() -> None:
    assert paths.user_paths(HOME, HOME / ".config", Path("/m")) == paths.InstallPaths(
        programs=Path("/home/me/.local/bin"),
        config=Path("/home/me/.config/rbee/config.toml"),
        models=Path("/m"),
        units=Path("/home/me/.config/systemd/user"),
        state=Path("/home/me/.rbee"),
    )
    assert paths.system_paths(None) == paths.InstallPaths(
        programs=Path("/usr/local/bin"),
        config=Path("/etc/rbee/config.toml"),
        models=Path("/var/lib/rbee/models"),
        units=Path("/etc/systemd/system"),
    )
    assert paths.system_paths(Path("/srv")).root == Path("/srv")


def test_commands_that_a_person_types() -> None:
    again = paths.sudo_command(Path("/a b/rbee-keeper"), ["--root", "/x y"])
    assert again == "sudo '/a b/rbee-keeper' install --system --root '/x y'"
    units = ["queen-rbee.service", "rbee-hive.service"]
    assert paths.first_start("systemctl --user", units) == (
        "systemctl --user daemon-reload && systemctl --user enable --now queen-rbee rbee-hive"
    )
    assert paths.share_command("/m m") == (
        "sudo groupadd --system --force rbee && sudo chgrp -R rbee '/m m'"
        " && sudo find '/m m' -type d -exec chmod g+rwxs {} +"
        ' && sudo usermod --append --groups rbee "$USER"'
    )
