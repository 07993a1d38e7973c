"""The programs of this installation, and the files that `rbee-keeper install` creates or leaves."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from importlib import metadata
from pathlib import Path
from typing import Literal

from rbee.contract.config import Config
from rbee.contract.errors import ProgramFailed
from rbee.keeper.install.paths import ACCOUNT, PROGRAMS, InstallPaths
from rbee.keeper.install.systemd import MARK, Role, UnitOptions, unit_text
from rbee.runtime import files
from rbee.runtime.files import OPEN_FILE, OPEN_FOLDER, PRIVATE_FOLDER

_DISTRIBUTION = "rbee"

Outcome = Literal["created", "present", "foreign"]


def programs() -> dict[str, Path]:
    """The paths of the installed programs by name. Raises PROGRAM_FAILED if one is missing: rbee
    runs from a folder that was not installed."""
    found = {path.name: path for path in _recorded()}
    for name in PROGRAMS:
        beside = Path(sys.executable).parent / name
        if name not in found and beside.exists():
            found[name] = beside
        if name not in found:
            raise ProgramFailed(
                f"The program {name} is not installed.",
                program=name,
                reason="not installed",
                hint="Install rbee first, for example from a clone of it: pip install .",
            )
    return {name: found[name] for name in PROGRAMS}


def _recorded() -> list[Path]:
    """The programs that pip, or another installer, has recorded."""
    with contextlib.suppress(metadata.PackageNotFoundError, OSError):
        distribution = metadata.distribution(_DISTRIBUTION)
        files = [Path(str(distribution.locate_file(file))) for file in distribution.files or ()]
        places = [Path(os.path.normpath(file)) for file in files if file.name in PROGRAMS]
        return [file for file in places if file.exists()]
    return []


def obstacle(path: Path) -> Path | None:
    """The folder that can't be written and so prevents `path`; None if there is none."""
    folder = path
    while not folder.is_dir():
        folder = folder.parent
    return None if os.access(folder, os.W_OK | os.X_OK) else folder


def link(program: Path, place: Path, written: str) -> Outcome:
    """Link `place` to `program`, by the path `written`. Another file with this name stays; a
    dangling link, as of an installation that is gone, is replaced."""
    if place.exists():
        return "present" if place.resolve() == program.resolve() else "foreign"
    files.make_folder(place.parent, OPEN_FOLDER)
    if place.is_symlink():
        if place.readlink() == Path(written):
            return "present"
        place.unlink()
    place.symlink_to(written)
    return "created"


def make_folder(path: Path, private: bool = False) -> None:
    """Create a folder and its parents. A `private` one is closed to others, also if it existed; any
    other may be read by them."""
    files.make_folder(path, PRIVATE_FOLDER if private else OPEN_FOLDER)
    if private and stat.S_IMODE(path.stat().st_mode) & ~PRIVATE_FOLDER:
        path.chmod(PRIVATE_FOLDER)


def write_file(path: Path, text: str, mode: int) -> Outcome:
    """Write a file unless it exists. Folders for one that others may read are open to them, too."""
    files.make_folder(path.parent, OPEN_FOLDER if mode & stat.S_IROTH else PRIVATE_FOLDER)
    try:
        descriptor = files.create(path, mode)
    except FileExistsError:
        return "present"
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    return "created"


def write_unit(path: Path, text: str) -> Outcome:
    """Write a unit over an older one of ours; one that someone else wrote stays."""
    if path.exists():
        was = path.read_text(encoding="utf-8", errors="replace")
        if was == text:
            return "present"
        if not was.startswith(MARK):
            return "foreign"
    files.make_folder(path.parent)
    files.replace(path, text.encode(), OPEN_FILE)
    return "created"


def closed_folder(program: Path) -> Path | None:
    """The first folder above `program` that others can't enter."""
    folders = reversed(program.resolve().parents)
    return next((each for each in folders if not each.stat().st_mode & stat.S_IXOTH), None)


def expected_units(target: InstallPaths, config: Config, own: dict[str, Path]) -> dict[Role, str]:
    """The unit files as they would be written now. They start the program that is on PATH if it is
    one of `own`, the programs of this installation: its path survives an upgrade."""
    is_system = target.state is None
    options = UnitOptions(
        account=ACCOUNT if is_system else None,
        config=None if is_system else os.environ.get("RBEE_CONFIG"),
        grace_s=config.times.grace_s,
    )
    texts: dict[Role, str] = {}
    names: dict[Role, str] = {"queen": "queen-rbee", "hive": "rbee-hive"}
    for role, name in names.items():
        linked = target.programs / name
        is_own = os.path.realpath(linked) == os.path.realpath(own[name])
        texts[role] = unit_text(role, target.on_system(linked if is_own else own[name]), options)
    return texts
