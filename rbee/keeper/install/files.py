"""The four programs of this installation; files and folders that are made once, or left alone."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from importlib import metadata
from pathlib import Path
from typing import Literal

from rbee.contract.errors import ProgramFailed
from rbee.keeper.install.paths import PROGRAMS
from rbee.keeper.install.systemd import MARK

_DISTRIBUTION = "rbee"
_PRIVATE = 0o700

Outcome = Literal["made", "there", "foreign"]


def programs() -> dict[str, Path]:
    """Where the installed programs are, each by its name. Raises PROGRAM_FAILED for one that is
    not: rbee runs from a folder that nobody installed."""
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
    """What pip, or whoever installed, says that it has put somewhere."""
    with contextlib.suppress(metadata.PackageNotFoundError, OSError):
        distribution = metadata.distribution(_DISTRIBUTION)
        files = [Path(str(distribution.locate_file(file))) for file in distribution.files or ()]
        places = [Path(os.path.normpath(file)) for file in files if file.name in PROGRAMS]
        return [file for file in places if file.exists()]
    return []


def obstacle(path: Path) -> Path | None:
    """The folder that keeps us from writing `path`; None where nothing does."""
    there = path
    while not there.is_dir():
        there = there.parent
    return None if os.access(there, os.W_OK | os.X_OK) else there


def link(program: Path, place: Path, written: str) -> Outcome:
    """Have `place` start `program`, called `written` there. Something else that has this name
    already stays; but a link that leads nowhere, as from an installation that is gone, goes."""
    if place.exists():
        return "there" if place.resolve() == program.resolve() else "foreign"
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        if place.readlink() == Path(written):
            return "there"
        place.unlink()
    place.symlink_to(written)
    return "made"


def folder(path: Path, private: bool = False) -> Outcome:
    """Make it, and those above it. A `private` one is for nobody else, also if it was before."""
    there = path.is_dir()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=_PRIVATE if private else 0o777, exist_ok=True)
    if private and stat.S_IMODE(path.stat().st_mode) & ~_PRIVATE:
        path.chmod(_PRIVATE)
    return "there" if there else "made"


def file(path: Path, text: str, mode: int) -> Outcome:
    """Write a file that is not there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return "there"
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    return "made"


def unit(path: Path, text: str) -> Outcome:
    """Write a unit, over an older one of ours; one that somebody else wrote stays."""
    if path.exists():
        was = path.read_text(encoding="utf-8", errors="replace")
        if was == text:
            return "there"
        if not was.startswith(MARK):
            return "foreign"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(0o644)
    draft.replace(path)
    return "made"


def out_of_reach(program: Path) -> Path | None:
    """The first folder on the way to `program` that nobody but its owner may enter."""
    ways = reversed(program.resolve().parents)
    return next((each for each in ways if not each.stat().st_mode & stat.S_IXOTH), None)
