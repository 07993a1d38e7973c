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

_DISTRIBUTION = "rbee"
_PRIVATE = 0o700

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
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        if place.readlink() == Path(written):
            return "present"
        place.unlink()
    place.symlink_to(written)
    return "created"


def make_folder(path: Path, private: bool = False) -> None:
    """Create a folder and its parents. A `private` one is closed to others, also if it existed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=_PRIVATE if private else 0o777, exist_ok=True)
    if private and stat.S_IMODE(path.stat().st_mode) & ~_PRIVATE:
        path.chmod(_PRIVATE)


def write_file(path: Path, text: str, mode: int) -> Outcome:
    """Write a file unless it exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
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
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(0o644)
    draft.replace(path)
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
