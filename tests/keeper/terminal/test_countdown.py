"""A wait is counted down in place on a terminal, and is one line elsewhere."""

from __future__ import annotations

import asyncio
import sys

import pytest

from rbee.keeper.terminal.countdown import count_down


class Sleep:
    """Sleeps for no time, and remembers for how long it should have."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_without_a_terminal_a_countdown_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sleep = Sleep()
    await count_down(4, str, sleep)
    assert sleep.slept == [4]
    assert capsys.readouterr().err == "4\n"


async def test_on_a_terminal_each_second_replaces_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    sleep = Sleep()
    await count_down(3, str, sleep)
    assert capsys.readouterr().err == "\r\x1b[K3\r\x1b[K2\r\x1b[K1\r\x1b[K0\n"
    # Counted from the beginning: nothing slept, so the rest is always longer.
    assert [round(seconds) for seconds in sleep.slept] == [1, 2, 3]


async def test_on_a_dumb_terminal_a_countdown_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    sleep = Sleep()
    await count_down(4, str, sleep)
    assert (sleep.slept, capsys.readouterr().err) == ([4], "4\n")


async def test_ctrl_c_ends_the_line_of_a_countdown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    task = asyncio.create_task(count_down(30, str))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert capsys.readouterr().err == "\r\x1b[K30\n"
