"""The line at the foot of a terminal: a bar or a step, one at a time, and gone at the end."""

from __future__ import annotations

import asyncio
import io
import sys

import pytest

from rbee.contract.events import Download, Loading, Verify
from rbee.runtime.live_line import LiveLine
from rbee.runtime.terminal import can_redraw

MB = 1_000_000
HALF = Download("downloading", 49 * MB, 98 * MB, 10.24)


@pytest.mark.parametrize("last", [Download("complete"), Loading("ready"), Verify("complete")])
def test_the_last_event_of_the_work_removes_the_bar(last: Download | Loading | Verify) -> None:
    bar = LiveLine()
    bar.show(HALF)
    assert bar.is_shown
    bar.show(last)
    assert not bar.is_shown


def test_one_bar_replaces_another(capsys: pytest.CaptureFixture[str]) -> None:
    bar = LiveLine()
    bar.show(HALF)
    bar.show(Loading("loading_to_vram", 3, 30, 12.5))
    bar.close()
    bar.close()
    assert not bar.is_shown
    drawn = capsys.readouterr().err.split("\r")
    assert [text.split(" ")[0] for text in drawn[1:3]] == ["downloading", "loading"]
    assert drawn[3:] == ["\x1b[K"]
    assert all(text.endswith("\x1b[K") for text in drawn[1:])


def test_few_of_many_events_at_once_are_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    bar = LiveLine()
    for layers in range(200):
        bar.show(Loading("loading_to_vram", layers, 200, 12.5))
    assert 1 <= capsys.readouterr().err.count("loading") < 100


def test_a_line_is_printed_above_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    bar = LiveLine()
    bar.show(HALF)
    bar.print_above("a line")
    assert capsys.readouterr().err.split("\r\x1b[K")[1].startswith("a line\n\rdownloading ")


def test_a_terminal_without_these_characters_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    err = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stderr", err)
    LiveLine().show(HALF)
    drawn = err.buffer.getvalue()  # type: ignore[attr-defined]  # it is a BytesIO
    assert b"downloading ####" in drawn


def test_a_terminal_that_is_gone_does_not_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str, /) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Gone())
    bar = LiveLine()
    bar.show(HALF)
    bar.close()


@pytest.mark.parametrize(
    ("is_terminal", "term", "shown"),
    [(True, "xterm", True), (True, "dumb", False), (True, None, False), (False, "xterm", False)],
)
def test_a_bar_needs_a_terminal_that_can_redraw(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, term: str | None, shown: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    if term is None:
        monkeypatch.delenv("TERM", raising=False)
    else:
        monkeypatch.setenv("TERM", term)
    assert can_redraw() is shown


def test_a_step_replaces_a_bar_and_the_step_before(capsys: pytest.CaptureFixture[str]) -> None:
    live = LiveLine()
    live.tell("one")
    live.show(HALF)
    live.tell("two")
    live.close()
    drawn = capsys.readouterr().err.split("\r")
    assert [text.removesuffix("\x1b[K")[:11] for text in drawn[1:]] == [
        "one",
        "downloading",
        "two",
        "",
    ]


def test_the_seconds_are_those_of_the_whole_wait(capsys: pytest.CaptureFixture[str]) -> None:
    clock = [100.4]
    live = LiveLine(now=lambda: clock[0])
    live.tell("one")
    clock[0] = 103.5
    live.tell("two")
    live.close()
    clock[0] = 200
    live.tell("three")
    drawn = capsys.readouterr().err.split("\r")[1:]
    assert drawn == ["one\x1b[K", "two  3 s\x1b[K", "\x1b[K", "three\x1b[K"]


async def test_a_step_is_drawn_again_with_each_second_until_it_is_closed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    live = LiveLine()
    live.tell("loading")
    async with asyncio.timeout(10):
        seen = ""
        while "loading  1 s" not in seen:
            await asyncio.sleep(0.01)
            seen += capsys.readouterr().err
    live.close()
    capsys.readouterr()
    await asyncio.sleep(1.2)
    assert capsys.readouterr().err == ""


def test_a_long_step_is_shortened_and_keeps_its_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = [0.0]
    live = LiveLine(now=lambda: clock[0])
    live.tell("one")
    clock[0] = 75
    live.tell("⏳ " + "word " * 40)
    drawn = capsys.readouterr().err.split("\r")[2].removesuffix("\x1b[K")
    assert drawn.endswith("word…  75 s")
    assert len(drawn) == 78  # the emoji takes two columns
