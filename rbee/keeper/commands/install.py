"""`rbee-keeper install`: programs, config file, folders, and on request systemd units."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn

from rbee.contract.config import Config
from rbee.contract.errors import RbeeError, StateNotWritable
from rbee.keeper.commands.runner import PROGRAM
from rbee.keeper.config import default_config
from rbee.keeper.install import files
from rbee.keeper.install.paths import (
    ACCOUNT,
    SYSTEM_HOME,
    InstallPaths,
    first_start,
    is_on_path,
    path_command,
    share_command,
    sudo_command,
    system_paths,
    user_paths,
)
from rbee.keeper.install.systemd import UNIT_NAMES
from rbee.runtime import paths, settings
from rbee.runtime.command import run
from rbee.runtime.screen import Screen

_MODE = 0o644
_PRIVATE_MODE = 0o600


def install(system: bool, root: str | None, systemd: bool) -> NoReturn:
    """Install what is not there yet, whatever the config file says; 1 if something else occupies
    the place of a part."""
    screen = Screen()
    top = Path(root).absolute() if root is not None else None
    sys.exit(run(PROGRAM, lambda: _install(screen, system, top, systemd), screen))


async def _install(screen: Screen, system: bool, root: Path | None, systemd: bool) -> int:
    config = _effective_config()
    if system:
        target = system_paths(root)
    else:
        models = paths.models_dir(config.models.dir)
        target = user_paths(paths.home(), paths.config_home(), models)
    return Installer(screen, target, config, systemd).run()


class Installer:
    """One installation at `target`, with units if `systemd`."""

    def __init__(self, screen: Screen, target: InstallPaths, config: Config, systemd: bool) -> None:
        self._screen = screen
        self._target = target
        self._config = config
        self._systemd = systemd

    @property
    def _system(self) -> bool:
        return self._target.state is None

    def run(self) -> int:
        """Install; returns the exit code."""
        target, own = self._target, files.programs()
        if self._system:
            self._check_permissions(own[PROGRAM])
        try:
            complete = self._link_programs(own)
            complete = self._write_config() and complete
            self._make_folders()
            if self._systemd:
                complete = self._write_units(own) and complete
        except (FileExistsError, NotADirectoryError) as error:
            raise _not_a_folder(Path(error.filename or target.config)) from None
        except OSError as error:
            path = str(error.filename or target.config)
            raise StateNotWritable(path=path, reason=error.strerror or str(error)) from None
        self._show_next_steps()
        return 0 if complete else 1

    def _check_permissions(self, keeper: Path) -> None:
        """Before anything is written. Raises STATE_NOT_WRITABLE."""
        target = self._target
        units = [target.units] if self._systemd else []
        for each in [target.programs, target.config, target.models, *units]:
            if (folder := files.obstacle(each)) is not None:
                flags = ["--root", str(target.root)] if target.root is not None else []
                sudo = sudo_command(keeper, [*flags, *(["--systemd"] if self._systemd else [])])
                raise StateNotWritable(
                    f"--system needs root: {folder} can't be written.",
                    path=str(folder),
                    reason="it belongs to another account",
                    hint=f"Type: {sudo}",
                )

    def _link_programs(self, own: dict[str, Path]) -> bool:
        """Whether all four names now start this installation's programs."""
        screen, target = self._screen, self._target
        foreign = []
        for name, program in own.items():
            place = target.programs / name
            match files.link(program, place, target.on_system(program)):
                case "created":
                    screen.say(f"{place} starts {program}.")
                case "present":
                    screen.say(f"{place} starts this installation already.")
                case "foreign":
                    foreign.append(place)
        for place in foreign:
            screen.note(f"⚠️ {place} is another program, and was left alone.")
        if self._system and (closed := files.closed_folder(own[PROGRAM])):
            screen.note(f"⚠️ The programs are below {closed}, which other accounts can't enter.")
            screen.note("→ Install rbee where everyone may read it, such as /opt/rbee, and from")
            screen.note("  there run this command again.")
        if foreign:
            screen.note(_move_away(foreign))
        return not foreign

    def _write_config(self) -> bool:
        """Whether there is now a config file that counts."""
        screen, target = self._screen, self._target
        of_system = paths.system_config()
        if not self._system and of_system.is_file() and not target.config.exists():
            # Of the two only the person's own would count.
            screen.say(f"{of_system} has the settings of this machine, so no other file is made.")
            folder, copy = shlex.quote(str(target.config.parent)), shlex.quote(str(target.config))
            own = f"mkdir -p {folder} && cp {of_system} {copy}"
            screen.note(f"→ For settings of your own: {own}")
            return True
        models = {"models.dir": target.on_system(target.models)} if self._system else {}
        mode = _MODE if self._system else _PRIVATE_MODE
        if files.write_file(target.config, default_config.text(models), mode) == "created":
            screen.say(f"{target.config} has every setting with its default.")
        elif target.config.is_file():
            screen.say(f"{target.config} was there already, and is left as it is.")
        else:
            what = "a dangling link" if target.config.is_symlink() else "not a file"
            screen.note(f"⚠️ {target.config} is {what}, so it has no settings.")
            screen.note(_move_away([target.config]))
            return False
        return True

    def _make_folders(self) -> None:
        target = self._target
        if target.state is not None:
            files.make_folder(target.state, private=True)
            self._screen.say(f"{target.state} is for keys, logs and databases.")
        files.make_folder(target.models)
        self._screen.say(f"{target.models} is for models.")

    def _write_units(self, own: dict[str, Path]) -> bool:
        """Whether both units are now this installation's."""
        complete = True
        for role, text in files.expected_units(self._target, self._config, own).items():
            place = self._target.units / UNIT_NAMES[role]
            match files.write_unit(place, text):
                case "created":
                    self._screen.say(f"{place} is written.")
                case "present":
                    self._screen.say(f"{place} is up to date.")
                case "foreign":
                    self._screen.note(f"⚠️ {place} was written by somebody else, and is left alone.")
                    self._screen.note(_move_away([place]))
                    complete = False
        return complete

    def _show_next_steps(self) -> None:
        note, target = self._screen.note, self._target
        on_path = is_on_path(target.programs, os.environ.get("PATH", ""))
        if not on_path and target.root is None:
            command = path_command(target.programs, paths.home(), os.environ.get("SHELL", ""))
            note(f"{target.programs} is not on your PATH.")
            note(f"→ Type this, and open a new terminal: {command}")
        if self._system:
            models = target.on_system(target.models)
            note(f"→ To add models to {models} yourself: {share_command(models)}")
            note("  It takes effect at your next login. For others: sudo usermod -aG rbee NAME")
        if self._systemd:
            self._show_unit_steps()
        note('→ Try it: rbee-keeper infer --prompt "write a haiku"')
        note("→ Check that everything is well: rbee-keeper doctor")
        note("→ Complete commands with Tab: rbee-keeper completion --help")

    def _show_unit_steps(self) -> None:
        note = self._screen.note
        names = list(UNIT_NAMES.values())[::-1]
        if not self._system:
            start = first_start("systemctl --user", names)
            note(f"→ Start both, now and at every login: {start}")
            note("→ Run them without a login, from the machine's start: loginctl enable-linger")
            return
        useradd = (
            f"useradd --system --gid {ACCOUNT} --home-dir {SYSTEM_HOME} --shell /usr/sbin/nologin"
        )
        note(
            f"→ The daemons run as {ACCOUNT}: sudo groupadd --system --force {ACCOUNT}; "
            f"sudo {useradd} {ACCOUNT}; sudo chown -R {ACCOUNT}: {SYSTEM_HOME}"
        )
        start = first_start("sudo systemctl", names)
        note(f"→ Start both, now and with the machine: {start}")


def _effective_config() -> Config:
    """It says where models are and how long an end may take, if the file can be read."""
    try:
        return settings.load()
    except RbeeError:
        return Config()


def _not_a_folder(path: Path) -> StateNotWritable:
    """A file or link is where a folder must be."""
    chain = [path, *path.parents]
    found = next((each for each in chain if os.path.lexists(each) and not each.is_dir()), path)
    return StateNotWritable(
        f"{found} must be a folder, and something else is there.",
        path=str(found),
        reason="it is not a folder",
        hint=_move_away([found]).removeprefix("→ "),
    )


def _move_away(places: list[Path]) -> str:
    commands = " && ".join(shlex.join(["mv", str(place), f"{place}.old"]) for place in places)
    return f"→ Move it away, and install again: {commands}"
