"""Reads a terminal's screen as a person does: a sentence goes on where the line was too short."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from harness.world.terminal import Terminal

_ERROR = re.compile(r"^Error \[(?P<code>[A-Z_]+)\]: ", re.MULTILINE)
_WAIT = re.compile(r"trying again in (\d+) s \((\d) of 3\)")
_WAITED = re.compile(r"tried again after (\d+) s \((\d) of 3\)")
_MARK = re.compile(r"correlation id: ([0-9a-f]{16})")
_SAVED = re.compile(r"\S*rbee-partial-[\w-]+\.txt")
_PLACE = re.compile(r"waiting for a free slot: (\d+ of \d+)")


def without_spaces(text: str) -> str:
    """Remove all space: a terminal breaks words where its line ends."""
    return "".join(text.split())


def shows(screen: str, words: str) -> bool:
    return without_spaces(words) in without_spaces(screen)


def error_codes(screen: str) -> list[str]:
    return [found["code"] for found in _ERROR.finditer(screen)]


def next_step(screen: str) -> str:
    """Return it from its arrow to the details, which are indented, or to the end."""
    lines = screen.splitlines()
    first = next((at for at, line in enumerate(lines) if line.startswith("→ ")), None)
    assert first is not None, f"no next step on the screen:\n{screen}"
    rest = lines[first:]
    last = next((at for at, line in enumerate(rest) if at and line.startswith("  ")), len(rest))
    return "\n".join(rest[:last])


def next_step_is_right_below(screen: str) -> bool:
    """Whether there is nothing between the error and its next step."""
    error = screen[screen.index("Error [") :]
    between = error[: error.index("\n→ ")] if "\n→ " in error else "\n\n"
    return "\n  " not in between and "\n[" not in between


def correlation_id(screen: str) -> str:
    """Return the correlation id, which is the last thing on the screen."""
    found = _MARK.search(screen.rstrip().splitlines()[-1])
    assert found, f"the screen does not end with a correlation id:\n{screen}"
    return found[1]


def countdowns(screens: Sequence[str]) -> dict[int, tuple[set[int], list[int]]]:
    """Return for each wait the rows in which it was seen, and the seconds that were left."""
    seen: dict[int, tuple[set[int], list[int]]] = {}
    for screen in screens:
        for row, line in enumerate(screen.splitlines()):
            for left, turn in _WAIT.findall(line):
                rows, lefts = seen.setdefault(int(turn), (set(), []))
                rows.add(row)
                if not lefts or lefts[-1] != int(left):
                    lefts.append(int(left))
    return seen


def finished_waits(screen: str) -> list[tuple[int, int]]:
    """Return what the remaining lines say about the waits: the number of each, and its seconds."""
    return [(int(turn), int(took)) for took, turn in _WAITED.findall(screen)]


def waiting_lines(text: str) -> list[str]:
    """Return the lines about waits in the output without a terminal."""
    return [line for line in text.splitlines() if _WAIT.search(line) or _WAITED.search(line)]


def places(text: str) -> list[str]:
    """Return each place in the queue that was shown, as in 2 of 3."""
    return _PLACE.findall(text)


def text_before_the_error(screen: str) -> str:
    """Return what is above the first word that is not the answer's, for a --quiet command."""
    ends = [screen.index(word) for word in ("Partial text", "Error [") if word in screen]
    return screen[: min(ends)]


def saved_text(screen: str, folder: Path) -> Path:
    """Return the only saved text of the folder, which the screen names."""
    (file,) = folder.glob("rbee-partial-*.txt")
    assert without_spaces(str(file)) in without_spaces(screen), f"{file} is not named on:\n{screen}"
    return file


_ANY_BAR = re.compile(r"[━─#]{4,}")
_DRAWN = re.compile(r"\r([^\r\n\x1b]*[━─]{4}[^\r\n\x1b]*)")
_FULL = re.compile(r"(\d+) %.* ([\d.]+) MB/s, (\d+):(\d\d) left$")
_AMOUNT = re.compile(r"(\d+)/(\d+) MB, ")
_SECONDS = re.compile(r"  (\d+) s$")


def bar_lines(screen: str) -> list[str]:
    """Return the lines that contain a bar or a part of one."""
    return [line for line in screen.splitlines() if _ANY_BAR.search(line)]


def bar_percentages(terminal: Terminal) -> list[int]:
    """Return each new percentage of a bar with speed and time left beside it."""
    seen: list[int] = []
    for screen in list(terminal.screens):
        for line in bar_lines(screen):
            found = _FULL.search(line)
            if found and int(found[1]) not in seen[-1:]:
                seen.append(int(found[1]))
    return seen


def wrong_bars(terminal: Terminal, megabytes: float, fastest: float) -> list[str]:
    """Return each bar whose length or words are not those of a file of so many MB, of which at most
    `fastest` MB come in a second."""
    lines = {line for screen in list(terminal.screens) for line in bar_lines(screen)}
    return [line for line in sorted(lines) if not _fits(line, megabytes, fastest)]


def _fits(line: str, megabytes: float, fastest: float) -> bool:
    """Whether its figures fit each other, as far as they are rounded; other bars fit."""
    if (found := _FULL.search(line)) is None:
        return True
    percent, speed, left_s = int(found[1]), float(found[2]), 60 * int(found[3]) + int(found[4])
    left_mb = megabytes * (1 - percent / 100)
    slack_s = 1 + megabytes / 100 / speed + left_mb / speed * 0.05 / speed
    full, empty = line.count("━"), line.count("─")
    fits = [
        abs(100 * full / (full + empty) - percent) <= 1 + 100 / (full + empty),
        0 < speed < fastest,
        abs(left_mb / speed - left_s) <= slack_s,
    ]
    if amount := _AMOUNT.search(line):
        done, total = int(amount[1]), int(amount[2])
        fits += [total == round(megabytes), abs(done - megabytes * percent / 100) <= 1]
    return all(fits)


def seconds_shown(terminal: Terminal, before: str = "\0") -> list[tuple[float, int]]:
    """Return for each screen with nothing but a live line in words, up to the one with the words
    `before`: when it was there, in seconds since the first of them, and the seconds it showed."""
    pairs = itertools.takewhile(
        lambda pair: before not in pair[1],
        zip(list(terminal.shown_at), list(terminal.screens), strict=False),
    )
    alone = [
        (at, screen)
        for at, screen in pairs
        if screen and "\n" not in screen and not bar_lines(screen)
    ]
    seen = []
    for at, screen in alone:
        found = _SECONDS.search(screen)
        seen.append((at - alone[0][0], int(found[1]) if found else 0))
    return seen


def misplaced_bars(terminal: Terminal, columns: int) -> list[str]:
    """Return the screens with two bars, or with one that reached the last column."""
    return [
        screen
        for screen in list(terminal.screens)
        if len(bar_lines(screen)) > 1 or any(len(line) >= columns for line in bar_lines(screen))
    ]


def bars_drawn_since(terminal: Terminal, byte: int) -> list[str]:
    """Return each bar written after that byte, without the first, which may be incomplete."""
    return _DRAWN.findall(terminal.written[byte:].decode(errors="replace"))[1:]


_FIGURE = re.compile(r"\d+(?:\.\d+)?(?= ms| tokens/s|\stokens/s|$)")
_READ = re.compile(r"([\d,]+)(?: of |/)([\d,]+)")


def paragraphs(screen: str) -> list[str]:
    """Return the texts between blank lines; words stand where they are whole, and in one line."""
    return [" ".join(each.split()) for each in re.split(r"\n\s*\n", screen)]


def without_figures(text: str) -> str:
    return _FIGURE.sub("N", text)


def lines_before(terminal: Terminal, words: str) -> list[list[str]]:
    """Return for each screen before these words were there its lines that are not blank."""
    screens = list(terminal.screens)
    first = next(at for at, screen in enumerate(screens) if words in screen)
    return [[line for line in screen.splitlines() if line] for screen in screens[:first]]


def tokens_read(terminal: Terminal) -> list[tuple[int, int]]:
    """Return each new position of the bar while a prompt is read: tokens, and of how many."""
    seen: list[tuple[int, int]] = []
    for screen in list(terminal.screens):
        for line in bar_lines(screen):
            found = _READ.search(line) if "layers" not in line else None
            if found:
                place = int(found[1].replace(",", "")), int(found[2].replace(",", ""))
                seen += [place] if place not in seen[-1:] else []
    return seen
