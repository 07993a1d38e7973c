"""The progress bar as a terminal showed it, and as it was drawn."""

import re

from harness.world.terminal import Terminal

_BAR = re.compile(r"[━─#]{4,}")
_DRAWN = re.compile(r"\r([^\r\n\x1b]*[━─]{4}[^\r\n\x1b]*)")
_FULL = re.compile(r"(\d+) %.* [\d.]+ MB/s, \d+:\d\d left$")


def lines(screen: str) -> list[str]:
    """Those on which there is a bar, or a piece of one."""
    return [line for line in screen.splitlines() if _BAR.search(line)]


def percentages(terminal: Terminal) -> list[int]:
    """Each new percentage of a bar that had speed and time left beside it."""
    seen: list[int] = []
    for screen in list(terminal.screens):
        for line in lines(screen):
            found = _FULL.search(line)
            if found and int(found[1]) not in seen[-1:]:
                seen.append(int(found[1]))
    return seen


def misplaced(terminal: Terminal, columns: int) -> list[str]:
    """Screens with two bars, or with one that reached the last column."""
    return [
        screen
        for screen in list(terminal.screens)
        if len(lines(screen)) > 1 or any(len(line) >= columns for line in lines(screen))
    ]


def drawn_since(terminal: Terminal, byte: int) -> list[str]:
    """Each bar as it was written from that byte on, but the first: it may have been under way."""
    return _DRAWN.findall(terminal.written[byte:].decode(errors="replace"))[1:]
