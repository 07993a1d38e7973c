"""`python -m pages.terminal_picture`: the picture in the README, made from a real run.

It types the command of the README on a pseudo-terminal, with an empty HOME and the bundled model,
reads the screen as a terminal would show it, and draws it as docs/_static/first-story.svg. Run it
again when the output of `rbee-keeper infer` changes. No test compares the picture, because worker
ids and times differ from run to run.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

import pexpect
import pyte

from pages.__main__ import DOCS

PICTURE = DOCS / "_static" / "first-story.svg"
COMMAND = 'rbee-keeper infer --prompt "write a short story" --max-tokens 20 --temperature 0.7'

_COLUMNS, _ROWS = 100, 40
_TIMEOUT_S = 300
# Pixels. Each run of characters gets its own x: emoji are two cells wide, whatever the font says.
_CELL, _LINE, _MARGIN = 7.8, 18, 16
_DIM, _TEXT, _PROMPT = "#8b949e", "#f0f6fc", "#7ee787"


def record(home: Path) -> list[str]:
    """The lines on the screen when the command has ended; raises RuntimeError if it failed."""
    program, *arguments = shlex.split(COMMAND)
    beside = Path(sys.executable).with_name(program)
    path = str(beside) if beside.is_file() else shutil.which(program)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RBEE_")}
    environment |= {"HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    screen = pyte.Screen(_COLUMNS, _ROWS)
    stream = pyte.ByteStream(screen)
    child = pexpect.spawn(
        str(path), arguments, env=environment, dimensions=(_ROWS, _COLUMNS), timeout=_TIMEOUT_S
    )
    child.expect(pexpect.EOF)
    stream.feed(child.before or b"")
    child.close()
    if child.exitstatus != 0:
        raise RuntimeError(f"{COMMAND} ended with {child.exitstatus}: {child.before!r}")
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def draw(lines: list[str]) -> str:
    """The screen as SVG: a dark window, which is readable on a light and on a dark page."""
    rows = [_row(0, f"$ {COMMAND}", _TEXT)]
    for number, line in enumerate(lines, 1):
        # Narration, figures and hints go to standard error; only the answer is bright.
        is_answer = not line.startswith(("[", "→")) and " tokens/s" not in line
        rows.append(_row(number, line, _TEXT if is_answer else _DIM))
    width = round(_COLUMNS * _CELL + 2 * _MARGIN)
    height = round((len(rows) + 0.5) * _LINE + 2 * _MARGIN)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">',
            f"<title>{escape(COMMAND)}</title>",
            "<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',"
            "monospace;white-space:pre}</style>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117" stroke="#30363d"/>',
            *rows,
            "</svg>\n",
        ]
    )


def _row(number: int, line: str, color: str) -> str:
    y = _MARGIN + (number + 1) * _LINE
    pieces = []
    for column, text in _pieces(line):
        x = _MARGIN + column * _CELL
        fill = _PROMPT if number == 0 and column == 0 else color
        pieces.append(f'<tspan x="{x:g}" fill="{fill}">{escape(text)}</tspan>')
    return f'<text y="{y:g}" xml:space="preserve">{"".join(pieces)}</text>'


def _pieces(line: str) -> Iterator[tuple[int, str]]:
    """The words of a line, each with its column; a wide character is a word of its own."""
    column = 0
    for kind, group in groupby(line, key=_kind):
        text = "".join(group)
        if kind != "space":
            yield column, text
        column += sum(_width(character) for character in text)


def _kind(character: str) -> str:
    if character == " ":
        return "space"
    return "wide" if _width(character) == 2 else "word"


def _width(character: str) -> int:
    return 2 if ord(character) >= 0x1F000 or character in "⏳✅" else 1


def main() -> int:
    with tempfile.TemporaryDirectory() as home:
        lines = record(Path(home))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(draw(lines), encoding="utf-8")
    print(f"{PICTURE}: {len(lines)} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
