"""Reads a terminal's screen as a person does: a sentence goes on where the line was too short."""

import re
from collections.abc import Sequence
from pathlib import Path

_ERROR = re.compile(r"^Error \[(?P<code>[A-Z_]+)\]: ", re.MULTILINE)
_WAIT = re.compile(r"trying again in (\d+) s \((\d) of 3\)")
_WAITED = re.compile(r"tried again after (\d+) s \((\d) of 3\)")
_MARK = re.compile(r"correlation id: ([0-9a-f]{16})")
_SAVED = re.compile(r"\S*rbee-partial-[\w-]+\.txt")
_BAR = re.compile(r"[━╸╺]{3}")


def squeezed(text: str) -> str:
    """Without any space: a terminal breaks words where its line ends."""
    return "".join(text.split())


def says(screen: str, words: str) -> bool:
    return squeezed(words) in squeezed(screen)


def error_codes(screen: str) -> list[str]:
    return [found["code"] for found in _ERROR.finditer(screen)]


def next_step(screen: str) -> str:
    """From its arrow to the details, which are indented, or to the end."""
    lines = screen.splitlines()
    first = next((at for at, line in enumerate(lines) if line.startswith("→ ")), None)
    assert first is not None, f"no next step on the screen:\n{screen}"
    rest = lines[first:]
    last = next((at for at, line in enumerate(rest) if at and line.startswith("  ")), len(rest))
    return "\n".join(rest[:last])


def is_right_below(screen: str) -> bool:
    """Whether between the error and its next step there is nothing but the error itself."""
    error = screen[screen.index("Error [") :]
    told = error[: error.index("\n→ ")] if "\n→ " in error else "\n\n"
    return "\n  " not in told and "\n[" not in told


def mark(screen: str) -> str:
    """The correlation id, which is the last thing on the screen."""
    found = _MARK.search(screen.rstrip().splitlines()[-1])
    assert found, f"the screen does not end with a correlation id:\n{screen}"
    return found[1]


def countdowns(screens: Sequence[str]) -> dict[int, tuple[set[int], list[int]]]:
    """Of each wait the rows that it was seen in, and the seconds as they were left."""
    seen: dict[int, tuple[set[int], list[int]]] = {}
    for screen in screens:
        for row, line in enumerate(screen.splitlines()):
            for left, turn in _WAIT.findall(line):
                rows, lefts = seen.setdefault(int(turn), (set(), []))
                rows.add(row)
                if not lefts or lefts[-1] != int(left):
                    lefts.append(int(left))
    return seen


def waits(screen: str) -> list[tuple[int, int]]:
    """The lines that stay of the waits: which one, and how many seconds."""
    return [(int(turn), int(took)) for took, turn in _WAITED.findall(screen)]


def waiting_lines(text: str) -> list[str]:
    """Without a terminal."""
    return [line for line in text.splitlines() if _WAIT.search(line) or _WAITED.search(line)]


def has_bar(screen: str) -> bool:
    return bool(_BAR.search(screen))


def story_before_the_error(screen: str) -> str:
    """What stands above the first word that is not the story's: of a --quiet command."""
    ends = [screen.index(word) for word in ("Partial text", "Error [") if word in screen]
    return screen[: min(ends)]


def saved_text(screen: str, folder: Path) -> Path:
    """The only saved text of the folder, which the screen names."""
    (there,) = folder.glob("rbee-partial-*.txt")
    assert squeezed(str(there)) in squeezed(screen), f"{there} is not named on:\n{screen}"
    return there
