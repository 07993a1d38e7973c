"""A text that fills the terminal: never more than fits, and nothing left of it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
from collections.abc import Iterator

import pyte
import pytest

from rbee.keeper.terminal.full_screen import full_screen, is_possible


class Tty:
    """A terminal of 20 columns and 4 lines on standard output."""

    def __init__(self) -> None:
        self._far, self._near = pty.openpty()
        self.file = os.fdopen(self._near, "w")
        self._screen = pyte.Screen(20, 4)
        self._bytes = pyte.ByteStream(self._screen)
        self.resize(20, 4)

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)
        fcntl.ioctl(self._far, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    @property
    def lines(self) -> list[str]:
        while select.select([self._far], [], [], 0.1)[0]:  # the kernel takes its time
            self._bytes.feed(os.read(self._far, 100_000))
        return [line.rstrip() for line in self._screen.display]

    def close(self) -> None:
        self.file.close()
        os.close(self._far)


@contextlib.contextmanager
def terminal() -> Iterator[Tty]:
    """In the test itself: pytest has put its own standard output in place after the fixtures."""
    tty = Tty()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", tty.file)
        patch.setenv("TERM", "xterm")
        yield tty
    tty.close()


async def test_it_is_drawn_anew_and_nothing_of_before_is_left() -> None:
    with terminal() as tty:
        lines = ["one", "a line that is wider than that", "three"]
        with full_screen(lambda: lines, 60) as draw:
            draw()
            assert tty.lines == ["one", "a line that is wid…", "three", ""]
            lines[:] = ["uno"]
            draw()
            assert tty.lines == ["uno", "", "", ""]
        assert tty.lines == [""] * 4


async def test_more_lines_than_fit_are_counted() -> None:
    nine = [f"line {number}" for number in range(9)]
    with terminal() as tty, full_screen(lambda: nine, 60) as draw:
        draw()
        assert tty.lines == ["line 0", "line 1", "line 2", "… 6 more lines"]


async def test_it_is_drawn_again_in_another_size_and_after_some_time() -> None:
    with terminal() as tty:
        drawn: list[int] = []

        def lines() -> list[str]:
            drawn.append(len(drawn))
            return ["a line of twenty or more"]

        with full_screen(lines, 0.2) as draw:
            draw()
            tty.resize(12, 4)
            os.kill(os.getpid(), signal.SIGWINCH)
            await asyncio.sleep(0.1)
            assert (tty.lines[0], len(drawn)) == ("a line of …", 2)
            async with asyncio.timeout(5):
                while len(drawn) < 4:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        count = len(drawn)
        await asyncio.sleep(0.3)
        assert len(drawn) == count


async def test_text_of_others_can_send_nothing_to_the_terminal() -> None:
    with terminal() as tty, full_screen(lambda: ["a\x1b[2Jb\r\nc"], 60) as draw:
        draw()
        assert tty.lines[0].startswith("a\\x1b[2Jb")
        assert tty.lines[1:] == ["", "", ""]


def test_a_terminal_that_can_do_nothing_is_not_drawn_on() -> None:
    with terminal(), pytest.MonkeyPatch.context() as patch:
        assert is_possible()
        patch.setenv("TERM", "dumb")
        assert not is_possible()
