"""A keeper on a terminal: what a person sees there, and the keys that a person presses."""

import contextlib
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pexpect
import pyte

from harness.waiting import wait_until

_COLUMNS, _LINES = 100, 40
_FETCHED = re.compile(r"(\d+)/(\d+) MB, ([\d.]+) MB/s")
_BAR = re.compile(r"(\d+) ?(?:%|/ ?\d+ layers)")


class Terminal:
    """`screens` is every distinct screen in order: a bar that came and went can still be seen."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], copy: Path) -> None:
        self.screens: list[str] = []
        self._child = pexpect.spawn(
            argv[0],
            list(argv[1:]),
            env={**environment, "TERM": "xterm-256color"},
            cwd=environment["TMPDIR"],
            dimensions=(_LINES, _COLUMNS),
            timeout=None,
        )
        self._copy = copy
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        screen = pyte.Screen(_COLUMNS, _LINES)
        stream = pyte.ByteStream(screen)
        with self._copy.open("ab", buffering=0) as copy, contextlib.suppress(pexpect.EOF, OSError):
            while True:
                piece = self._child.read_nonblocking(4096)
                copy.write(piece)
                stream.feed(piece)
                self.screens.append("\n".join(line.rstrip() for line in screen.display).rstrip())

    @property
    def pid(self) -> int:
        return int(self._child.pid)

    @property
    def screen(self) -> str:
        return self.screens[-1] if self.screens else ""

    def press(self, key: str) -> None:
        self._child.send(key)

    def wait(self, within: float) -> int:
        """The exit code, or minus the signal's number, once the last screen has been read."""
        wait_until(
            "the keeper on the terminal to end",
            lambda: (self._child.isalive(), self.screen),
            within,
            lambda seen: not seen[0],
        )
        self._thread.join(5)
        self._child.close()
        if self._child.signalstatus is not None:
            return -int(self._child.signalstatus)
        return int(self._child.exitstatus)

    def growth(self) -> list[int]:
        """How many words stood on the screen, each time that there were more."""
        steps = [0]
        for screen in list(self.screens):
            words = len(screen.split())
            if words > steps[-1]:
                steps.append(words)
        return steps

    def bar_positions(self) -> list[int]:
        """Each new position of a progress bar, as its percentage or its layers tell it."""
        positions: list[int] = []
        for screen in list(self.screens):
            found = _BAR.findall(screen)
            if found and (not positions or int(found[-1]) != positions[-1]):
                positions.append(int(found[-1]))
        return positions

    def fetched(self) -> list[tuple[int, int, float]]:
        """Each new position of a download's bar: megabytes, of how many, and their speed."""
        return _positions(list(self.screens))

    def fetched_around(
        self, words: str
    ) -> tuple[list[tuple[int, int, float]], list[tuple[int, int, float]]]:
        """Those before these words came on the screen, and those from then on."""
        screens = list(self.screens)
        first = next(at for at, screen in enumerate(screens) if words in screen)
        return _positions(screens[:first]), _positions(screens[first:])


def _positions(screens: list[str]) -> list[tuple[int, int, float]]:
    seen: list[tuple[int, int, float]] = []
    for screen in screens:
        for done, total, speed in _FETCHED.findall(screen)[-1:]:
            if not seen or seen[-1][0] != int(done):
                seen.append((int(done), int(total), float(speed)))
    return seen
