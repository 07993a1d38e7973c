"""A keeper on a terminal: what a person sees, and the keys that a person presses."""

import contextlib
import re
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pexpect
import pyte

from harness.world.waiting import wait_until

_COLUMNS, _LINES = 100, 40
KEYS = {"Ctrl+C": "\x03", "Ctrl+D": "\x04", "Enter": "\r", "Alt+Enter": "\x1b\r", "Up": "\x1b[A"}
_COLOUR = re.compile(rb"\x1b\[(\d+(?:;\d+)*)m")
_FETCHED = re.compile(r"(\d+)/(\d+) MB, ([\d.]+) MB/s")
_BAR = re.compile(r"(\d+) ?(?:%|/ ?\d+ layers)")


class _Screen(pyte.Screen):
    """Answers a program's question for the cursor's position, as real terminals do."""

    def __init__(self, columns: int, lines: int, answer: Callable[[str], object]) -> None:
        super().__init__(columns, lines)
        self._answer = answer

    def draw(self, data: str) -> None:
        """Leave out the sign that asks for an emoji's colours: pyte loses what follows it."""
        super().draw(data.replace("\N{VARIATION SELECTOR-16}", ""))

    def write_process_input(self, data: str) -> None:
        self._answer(data)


class Terminal:
    """`screens` has the screen after each piece that came, so that a bar that came and went can
    still be seen. `shown_at` is when each of them was there, on a clock that never goes back."""

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        copy: Path,
        columns: int = _COLUMNS,
    ) -> None:
        self.screens: list[str] = []
        self.shown_at: list[float] = []
        self._hanging_up = threading.Event()
        self._child = pexpect.spawn(
            argv[0],
            list(argv[1:]),
            env={"TERM": "xterm-256color", **environment},
            cwd=environment["TMPDIR"],
            dimensions=(_LINES, columns),
            timeout=None,
        )
        self._child.delaybeforesend = None
        self._modes = [termios.tcgetattr(self._child.child_fd)]
        self._screen = _Screen(columns, _LINES, self._child.send)
        self._copy = copy
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        screen = self._screen
        stream = pyte.ByteStream(screen)
        with self._copy.open("ab", buffering=0) as copy, contextlib.suppress(pexpect.EOF, OSError):
            while not self._hanging_up.is_set():
                try:
                    piece = self._child.read_nonblocking(4096, timeout=0.1)
                except pexpect.TIMEOUT:
                    continue
                copy.write(piece)
                stream.feed(piece)
                self.shown_at.append(time.monotonic())
                self.screens.append("\n".join(line.rstrip() for line in screen.display).rstrip())

    @property
    def pid(self) -> int:
        return int(self._child.pid)

    @property
    def screen(self) -> str:
        return self.screens[-1] if self.screens else ""

    @property
    def written(self) -> bytes:
        """Every byte that came, control sequences included."""
        return self._copy.read_bytes()

    @property
    def colours(self) -> set[bytes]:
        """The colours and styles that were set; resetting everything does not count."""
        return set(_COLOUR.findall(self.written)) - {b"0"}

    def press(self, key: str) -> None:
        """Press a key by its name, or type a text."""
        self._child.send(KEYS.get(key, key))

    def resize(self, columns: int) -> None:
        self._screen.resize(_LINES, columns)
        self._child.setwinsize(_LINES, columns)

    def hang_up(self) -> None:
        """Close the window: the kernel sends SIGHUP, and nothing can be written any more."""
        self._hanging_up.set()
        self._thread.join(5)
        self._child.ptyproc.fileobj.close()

    def wait_for(self, words: Sequence[str], within: float) -> None:
        """Wait until one of these is on the screen, or was there for a moment."""
        wait_until(
            f"one of {words!r} on the terminal",
            lambda: (self._has_shown(words), self.screen),
            within,
            lambda seen: seen[0],
        )

    def _has_shown(self, words: Sequence[str]) -> bool:
        return any(word in screen for screen in list(self.screens) for word in words)

    def wait_for_text(self, within: float) -> None:
        wait_until(
            "text on the terminal",
            lambda: self.screen.split(),
            within,
            lambda words: len(words) > 5,
        )

    def wait_for_prompt(self, since: int = 0, after: str = "", within: float = 40) -> None:
        """Wait for the prompt, after these words have been on a screen since number `since`."""

        def wanted() -> bool:
            screens = list(self.screens)
            began = next((at for at in range(since, len(screens)) if after in screens[at]), None)
            is_later = began is not None and (not after or began < len(screens) - 1)
            return is_later and screens[-1].rpartition("\n")[2] == ">"

        wait_until("the prompt", lambda: (wanted(), self.screen), within, lambda seen: seen[0])

    def wait(self, within: float) -> int:
        """Return the exit code, or minus the signal's number, once the last screen has been
        read."""
        wait_until(
            "the keeper on the terminal to end",
            lambda: (self._has_ended(), self.screen),
            within,
            lambda seen: seen[0],
        )
        if not self._hanging_up.is_set():  # else it is closed
            self._modes.append(termios.tcgetattr(self._child.child_fd))
        self._child.close(force=True)
        if self._child.signalstatus is not None:
            return -int(self._child.signalstatus)
        return int(self._child.exitstatus)

    @property
    def is_as_before(self) -> bool:
        """Whether the program, which has ended, left echo, line editing and the like as they
        were."""
        before, after = self._modes
        return before == after

    def _has_ended(self) -> bool:
        """The reader takes the child's exit code when it meets its end, and two can't."""
        return not self._thread.is_alive() and not self._child.isalive()

    def growth(self) -> list[int]:
        """Return the number of words on the screen, each time that it grew."""
        steps = [0]
        for screen in list(self.screens):
            words = len(screen.split())
            if words > steps[-1]:
                steps.append(words)
        return steps

    def bar_positions(self) -> list[int]:
        """Return each new position of a progress bar, in percent or layers."""
        positions: list[int] = []
        for screen in list(self.screens):
            found = _BAR.findall(screen)
            if found and (not positions or int(found[-1]) != positions[-1]):
                positions.append(int(found[-1]))
        return positions

    def fetched(self) -> list[tuple[int, int, float]]:
        """Return each new position of a download's bar: megabytes, of how many, and the speed."""
        return _positions(list(self.screens))

    def fetched_around(
        self, words: str
    ) -> tuple[list[tuple[int, int, float]], list[tuple[int, int, float]]]:
        """Return the positions before these words were on the screen, and those from then on."""
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
