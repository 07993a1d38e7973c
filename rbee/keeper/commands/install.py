"""`rbee-keeper install`: programs, config file, folders, and on request systemd units."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from rbee.contract.config import Config
from rbee.contract.errors import RbeeError, StateNotWritable
from rbee.keeper.config import default_config
from rbee.keeper.install import files as installation
from rbee.keeper.install import paths as layout
from rbee.keeper.install import systemd as units
from rbee.keeper.install.paths import Layout
from rbee.runtime import paths
from rbee.runtime import settings as configuration
from rbee.runtime.screen import Screen

_MODE = 0o644
_PRIVATE_MODE = 0o600


async def install(screen: Screen, system: bool, root: Path | None, systemd: bool) -> int:
    """Install what is not there yet; 1 where something else stands in the way of a part."""
    programs = installation.programs()
    config = _config()
    if system:
        where = layout.of_system(root)
        _check(where, systemd, programs["rbee-keeper"], root)
    else:
        user = paths.config_home()
        where = layout.of_user(paths.home(), user, paths.models_dir(config.models.dir))
    try:
        whole = _programs(screen, where, programs)
        whole = _config_file(screen, where, system) and whole
        _folders(screen, where)
        if systemd:
            whole = _units(screen, where, config, programs) and whole
    except (FileExistsError, NotADirectoryError) as error:
        raise _no_folder(Path(error.filename or where.config)) from None
    except OSError as error:
        path = str(error.filename or where.config)
        raise StateNotWritable(path=path, reason=error.strerror or str(error)) from None
    _next_steps(screen, where, systemd)
    return 0 if whole else 1


def _no_folder(path: Path) -> StateNotWritable:
    """Something is where a folder is to be."""
    way = [path, *path.parents]
    held = next((each for each in way if os.path.lexists(each) and not each.is_dir()), path)
    return StateNotWritable(
        f"{held} is to be a folder, and something else is there.",
        path=str(held),
        reason="it is no folder",
        hint=f"Move it away, and install again: {_moving([held])}",
    )


def _config() -> Config:
    """Where models are and how long an end takes is as it is set, if the file can be read."""
    try:
        return configuration.load()
    except RbeeError:
        return Config()


def _check(where: Layout, systemd: bool, keeper: Path, root: Path | None) -> None:
    """Before anything is done. Raises STATE_NOT_WRITABLE."""
    targets = [where.programs, where.config, where.models, *([where.units] if systemd else [])]
    for target in targets:
        if (folder := installation.obstacle(target)) is not None:
            flags = ["--root", str(root)] if root is not None else []
            sudo = layout.sudo_command(keeper, [*flags, *(["--systemd"] if systemd else [])])
            raise StateNotWritable(
                f"--system needs root: {folder} can't be written.",
                path=str(folder),
                reason="it belongs to somebody else",
                hint=f"Type: {sudo}",
            )


def _programs(screen: Screen, where: Layout, programs: dict[str, Path]) -> bool:
    """Whether all four are this installation's now."""
    strangers = []
    for name, program in programs.items():
        place = where.programs / name
        match installation.link(program, place, where.told(program)):
            case "made":
                screen.say(f"{place} starts {program}.")
            case "there":
                screen.say(f"{place} is this installation's already.")
            case "foreign":
                strangers.append(place)
    for place in strangers:
        screen.note(f"⚠️ {place} is another program, and was left alone.")
    if (closed := installation.out_of_reach(programs["rbee-keeper"])) and where.state is None:
        screen.note(f"⚠️ The programs are below {closed}, which others can't enter.")
        screen.note("→ Install rbee where everybody may read it, as in /opt/rbee, and from there.")
    if strangers:
        screen.note(f"→ Move it away, and install again: {_moving(strangers)}")
    return not strangers


def _moving(places: list[Path]) -> str:
    return " && ".join(shlex.join(["mv", str(place), f"{place}.old"]) for place in places)


def _config_file(screen: Screen, where: Layout, system: bool) -> bool:
    """Whether there is one now that counts."""
    counts = paths.system_config()
    if not system and counts.is_file() and not where.config.exists():
        # Of the two only the person's own would count.
        screen.say(f"{counts} has the settings of this machine, so no other file is made.")
        folder, copy = shlex.quote(str(where.config.parent)), shlex.quote(str(where.config))
        screen.note(f"→ For settings of your own: mkdir -p {folder} && cp {counts} {copy}")
        return True
    models = {"models.dir": where.told(where.models)} if system else {}
    text = default_config.text(models)
    made = installation.file(where.config, text, _MODE if system else _PRIVATE_MODE)
    if made == "made":
        screen.say(f"{where.config} has every setting, with its default.")
    elif where.config.is_file():
        screen.say(f"{where.config} was there already, and is left as it is.")
    else:
        what = "a link that leads nowhere" if where.config.is_symlink() else "no file"
        screen.note(f"⚠️ {where.config} is {what}: nothing that stands there counts.")
        screen.note(f"→ Move it away, and install again: {_moving([where.config])}")
        return False
    return True


def _folders(screen: Screen, where: Layout) -> None:
    if where.state is not None:
        installation.folder(where.state, private=True)
        screen.say(f"{where.state} is for keys, logs and databases.")
    installation.folder(where.models)
    screen.say(f"{where.models} is for models.")


def _units(screen: Screen, where: Layout, config: Config, programs: dict[str, Path]) -> bool:
    """Whether both are ours now."""
    whole = True
    for role, text in wanted_units(where, config, programs).items():
        place = where.units / units.NAMES[role]
        match installation.unit(place, text):
            case "made":
                screen.say(f"{place} is written.")
            case "there":
                screen.say(f"{place} is as it should be.")
            case "foreign":
                screen.note(f"⚠️ {place} was written by somebody else, and is left alone.")
                screen.note(f"→ Move it away, and install again: {_moving([place])}")
                whole = False
    return whole


def wanted_units(where: Layout, config: Config, programs: dict[str, Path]) -> dict[units.Role, str]:
    """The units as they would be written now. They start the program that PATH has, if it is
    ours: it is still called so when another version is installed."""
    place = units.Place(
        account=layout.ACCOUNT if where.state is None else None,
        config=os.environ.get("RBEE_CONFIG") if where.state is not None else None,
        grace_s=config.times.grace_s,
    )
    texts: dict[units.Role, str] = {}
    names: dict[units.Role, str] = {"queen": "queen-rbee", "hive": "rbee-hive"}
    for role, name in names.items():
        linked = where.programs / name
        ours = os.path.realpath(linked) == os.path.realpath(programs[name])
        texts[role] = units.unit(role, where.told(linked if ours else programs[name]), place)
    return texts


def _next_steps(screen: Screen, where: Layout, systemd: bool) -> None:
    if not layout.is_on_path(where.programs, os.environ.get("PATH", "")) and where.root is None:
        line = layout.path_command(where.programs, paths.home(), os.environ.get("SHELL", ""))
        screen.note(f"{where.programs} is not on your PATH.")
        screen.note(f"→ Type this, and open a new terminal: {line}")
    if where.state is None:
        models = where.told(where.models)
        screen.note(f"→ To add models to {models} yourself: {layout.share_command(models)}")
        screen.note("  That counts from your next login on; others: sudo usermod -aG rbee NAME")
    if systemd:
        _start_units(screen, where)
    screen.note('→ Try it: rbee-keeper infer --prompt "write a haiku"')
    screen.note("→ See whether all is well: rbee-keeper doctor")
    screen.note("→ Have Tab complete what you type: rbee-keeper completion --help")


def _start_units(screen: Screen, where: Layout) -> None:
    names = list(units.NAMES.values())[::-1]
    if where.state is not None:
        screen.note(f"→ Start both, now and at every login: {_start('systemctl --user', names)}")
        screen.note(
            "→ To have them without a login, from the machine's start on: loginctl enable-linger"
        )
        return
    home, account = layout.SYSTEM_HOME, layout.ACCOUNT
    useradd = f"useradd --system --gid {account} --home-dir {home} --shell /usr/sbin/nologin"
    screen.note(
        f"→ The daemons run as {account}: sudo groupadd --system --force {account}; "
        f"sudo {useradd} {account}; sudo chown -R {account}: {home}"
    )
    screen.note(f"→ Start both, now and with the machine: {_start('sudo systemctl', names)}")


def _start(systemctl: str, names: list[str]) -> str:
    return layout.first_start(systemctl, names)
