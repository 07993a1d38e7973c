"""What the programs of a world have logged under one correlation id."""

import re
from collections.abc import Iterable
from pathlib import Path

from harness.world.world import World

_MARK = re.compile(r"^  correlation id: ([0-9a-f]{16})$", re.MULTILINE)
_TRAIL = re.compile(r"^\[debug\] (.*)$", re.MULTILINE)


def marks(text: str) -> list[str]:
    """The correlation ids that a person is told."""
    return _MARK.findall(text)


def last_mark(stderr: str) -> str:
    """The one with which an error ends."""
    lines = stderr.rstrip().splitlines()
    found = _MARK.match(lines[-1]) if lines else None
    assert found, f"standard error does not end with a correlation id: {stderr!r}"
    return found[1]


def under(world: World, program: str, mark: str) -> list[str]:
    """The lines of a program's logs which carry the id as every line carries its own."""
    folder = world.home / ".rbee" / "logs"
    files = list(folder.glob(f"{program}*.log"))
    assert files, f"no log of {program} in {folder}"
    return [line for file in files for line in _lines(file) if f"[{mark}]" in line]


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines()


def trail(stderr: str) -> list[str]:
    """What --debug added."""
    return _TRAIL.findall(stderr)


def has_request(lines: Iterable[str], request: str) -> bool:
    """With when it began, its status, and how long it took."""
    wanted = re.compile(rf" *\d+\.\d+ s  {re.escape(request)}: \d{{3}}, after \d+ ms")
    return any(wanted.fullmatch(line) for line in lines)
