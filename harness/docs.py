"""The commands of a page of the documentation, and what it says that they show."""

import re
from dataclasses import dataclass, field
from pathlib import Path

_ROOT = Path(__file__).parent.parent / "docs"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PROMPT = "$ "
_ANY = "…"
_HOME = "/home/you"


@dataclass
class Example:
    """A command as it is typed, and the lines below it."""

    command: str
    shown: list[str] = field(default_factory=list)


def examples(page: str) -> list[Example]:
    """In the order of the page; those of one page build on each other."""
    found: list[Example] = []
    for block in _BLOCK.findall((_ROOT / page).read_text(encoding="utf-8")):
        for line in block.splitlines():
            if line.startswith(_PROMPT):
                found.append(Example(line.removeprefix(_PROMPT)))
            else:
                found[-1].shown.append(line)
    return found


def differences(example: Example, home: Path, stdout: str, stderr: str) -> list[str]:
    """What is shown and does not come, and what goes to standard output and is not shown; figures
    may differ. A line of … stands for lines of standard error."""
    out, errors = (
        [_shape(line) for line in text.replace(str(home), _HOME).splitlines()]
        for text in (stdout, stderr)
    )
    shown = [_shape(line) for line in example.shown if line != _ANY]
    missing = [f"not shown by the program: {line}" for line in shown if line not in out + errors]
    unsaid = [f"not in the page: {line}" for line in out if line not in shown]
    if _ANY not in example.shown:
        unsaid += [f"not in the page: {line}" for line in errors if line not in shown]
    return missing + unsaid


def _shape(line: str) -> str:
    """Without its figures, and without what their width makes of a table."""
    line = re.sub(r"\b[0-9a-f]{64}\b", "SHA256", line)
    line = re.sub(r"\d+(\.\d+)? (MB|GB)\b", "SIZE", line)
    return re.sub(r" {2,}", "  ", line)
