"""The busy waits: counted down in place where somebody looks, a line each where nobody does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from rbee.contract import endpoints as ep
from rbee.contract.errors import AllSlotsBusy, QueueFull
from rbee.contract.events import Accepted, Done, Token
from rbee.keeper.chat import task as asking
from rbee.keeper.chat.answer import BUSY_PAUSES_S, waiting
from rbee.keeper.terminal import countdown
from rbee.keeper.terminal.countdown import count_down

FakeQueen = Any
Keeper = Callable[..., Any]

BUSY = AllSlotsBusy(slots_total=1, slots_busy=1, waiting=0)
FULL = QueueFull(slots_total=1, slots_busy=1, waiting=3)
ANSWER = [Accepted("r"), Token("Once", 0), Done(True, 1, 5.0, 1, 0, 1.0, 9.0, "EOS")]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, each time; nothing waits."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(countdown.asyncio, "sleep", sleep)
    return found


def test_the_words_fit_into_forty_columns_with_a_wide_sign() -> None:
    lines = [waiting(turn, left) for turn in (1, 2, 3) for left in (4, 0)]
    assert all(len(line) + 1 < 40 for line in lines), lines


def test_what_is_left_is_told_and_afterwards_how_long_it_was() -> None:
    assert waiting(3, 4) == "⏳ busy: trying again in 4 s (3 of 3)"
    assert waiting(3, 0) == "⏳ busy: tried again after 4 s (3 of 3)"


async def test_without_a_terminal_it_is_one_line(
    slept: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    await count_down(4, str)
    assert slept == [4]
    assert capsys.readouterr().err == "4\n"


async def test_on_a_terminal_each_second_is_told_in_the_same_line(
    monkeypatch: pytest.MonkeyPatch, slept: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    await count_down(3, str)
    assert capsys.readouterr().err == "\r\x1b[K3\r\x1b[K2\r\x1b[K1\r\x1b[K0\n"
    # Counted from the beginning: nothing slept, so the rest is always longer.
    assert [round(seconds) for seconds in slept] == [1, 2, 3]


async def test_where_no_line_can_be_drawn_again_it_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, slept: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    await count_down(4, str)
    assert (slept, capsys.readouterr().err) == ([4], "4\n")


async def test_ctrl_c_leaves_the_line_to_what_follows(
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


@pytest.mark.parametrize("busy", [BUSY, FULL])
def test_after_three_waits_it_is_given_up(
    busy: AllSlotsBusy, lady: FakeQueen, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = _record(monkeypatch)
    lady.on(ep.QUEEN_TASKS, busy)
    done = keeper("infer", "--prompt", "hi")
    assert (done.exit_code, done.stdout, waits) == (1, "", [1, 2, 4])
    assert lady.paths().count(ep.QUEEN_TASKS.path) == 4
    assert f"Error [{busy.code}]" in done.stderr
    assert "Given up after 3 retries." in done.stderr
    assert "use another node (--node NODE); rbee-keeper setup list-nodes" in done.stderr


def test_a_slot_that_is_free_after_a_wait_is_taken(
    lady: FakeQueen, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = _record(monkeypatch)
    lady.on(ep.QUEEN_TASKS, BUSY, FULL, ANSWER)
    done = keeper("infer", "--prompt", "hi")
    assert (done.exit_code, done.stdout, waits) == (0, "Once\n", [1, 2])


def _record(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    waits: list[int] = []

    async def waited(seconds: int, words: Callable[[int], str]) -> None:
        assert words(seconds) == waiting(len(waits) + 1, BUSY_PAUSES_S[len(waits)])
        waits.append(seconds)

    monkeypatch.setattr(asking, "count_down", waited)
    return waits
