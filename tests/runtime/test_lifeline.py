"""The lifeline over a pipe: what is said on it, and when its end is seen."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from io import FileIO
from typing import NamedTuple

import msgspec
import pytest

from rbee.contract.daemons import Hello
from rbee.contract.errors import ConfigInvalid
from rbee.contract.nodes import Owner
from rbee.runtime.lifeline import Lifeline, Watch

HELLO = Hello("secret-key", Owner("queen-rbee", 7, 1.5, "here"), bind="127.0.0.1", hf_token="t")
LINE = msgspec.json.encode(HELLO) + b"\n"

SOON_S = 5.0  # how long a thread may take to do what it does at once
LEASE_S = 0.05
LONG_S = 1e6


@pytest.fixture
def exited(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the watch ends the process hard; in truth its thread stands still for good."""
    event = threading.Event()

    def leave(code: int) -> None:
        assert code != 0
        event.set()
        threading.Event().wait()

    monkeypatch.setattr(os, "_exit", leave)
    return event


class Pipe(NamedTuple):
    reading: FileIO
    writing: FileIO

    def give_away(self) -> int:
        """The writing end, owned by who gets it."""
        descriptor = os.dup(self.writing.fileno())
        self.writing.close()
        return descriptor


@pytest.fixture
def pipe(exited: threading.Event) -> Iterator[Pipe]:
    """Its closing ends what watches it: `exited` must still be there then."""
    reading, writing = os.pipe()
    with FileIO(reading, "rb") as out, FileIO(writing, "wb") as into:
        yield Pipe(out, into)


def start(watch: Watch) -> threading.Event:
    """Start a watch in a process that never begins to end; gives what its end sets."""
    ended = threading.Event()
    watch.start(ended.set, ending=threading.Event())
    return ended


def test_the_child_hears_what_the_parent_says(pipe: Pipe) -> None:
    parent = Lifeline(pipe.give_away(), HELLO)
    assert Watch(LONG_S, LONG_S, pipe.reading.fileno()).hello() == HELLO
    parent.close()


def test_a_greeting_that_comes_in_pieces_is_read(pipe: Pipe) -> None:
    def speak() -> None:
        for at in range(0, len(LINE), 7):
            pipe.writing.write(LINE[at : at + 7])

    speaker = threading.Thread(target=speak)
    speaker.start()
    assert Watch(LONG_S, LONG_S, pipe.reading.fileno()).hello() == HELLO
    speaker.join()


@pytest.mark.parametrize(
    "line", [b"\n", b"garbage\n", b"{}\n", b'{"api_key":1}\n', b"[]\n", b"\xff\n"]
)
def test_a_first_line_that_is_no_greeting_is_refused(pipe: Pipe, line: bytes) -> None:
    pipe.writing.write(line)
    with pytest.raises(ConfigInvalid, match="lifeline"):
        Watch(LONG_S, LONG_S, pipe.reading.fileno()).hello()


def test_a_parent_that_says_nothing_is_refused(pipe: Pipe) -> None:
    pipe.writing.close()
    with pytest.raises(ConfigInvalid, match="lifeline"):
        Watch(LONG_S, LONG_S, pipe.reading.fileno()).hello()


def test_a_parent_that_stays_silent_is_not_waited_for_for_ever(pipe: Pipe) -> None:
    with pytest.raises(ConfigInvalid, match="lifeline"):
        Watch(LONG_S, LONG_S, pipe.reading.fileno(), first_line_s=0.05).hello()


def test_a_greeting_without_an_end_is_refused(pipe: Pipe) -> None:
    pipe.writing.write(LINE.rstrip())
    pipe.writing.close()
    with pytest.raises(ConfigInvalid, match="lifeline"):
        Watch(LONG_S, LONG_S, pipe.reading.fileno()).hello()


def test_an_endless_first_line_is_refused(pipe: Pipe) -> None:
    def speak() -> None:
        with contextlib.suppress(OSError):
            while True:
                pipe.writing.write(b"x" * 4096)

    speaker = threading.Thread(target=speak)
    speaker.start()
    with pytest.raises(ConfigInvalid, match="lifeline"):
        Watch(LONG_S, LONG_S, pipe.reading.fileno()).hello()
    pipe.reading.close()
    speaker.join()


def test_when_the_parent_lets_go_the_end_is_seen(pipe: Pipe) -> None:
    parent = Lifeline(pipe.give_away(), HELLO)
    watch = Watch(LONG_S, LONG_S, pipe.reading.fileno())
    watch.hello()
    ended = start(watch)
    assert not ended.wait(0.05)
    parent.close()
    assert ended.wait(SOON_S)


def test_silence_after_a_heartbeat_is_the_end(pipe: Pipe) -> None:
    watch = Watch(LEASE_S, LONG_S, pipe.reading.fileno())
    pipe.writing.write(LINE + b"\n")
    watch.hello()
    assert start(watch).wait(SOON_S)


def test_silence_after_a_later_heartbeat_is_the_end(pipe: Pipe) -> None:
    watch = Watch(LEASE_S, LONG_S, pipe.reading.fileno())
    pipe.writing.write(LINE)
    watch.hello()
    ended = start(watch)
    pipe.writing.write(b"\n")
    assert ended.wait(SOON_S)


def test_silence_without_any_heartbeat_is_not_the_end(pipe: Pipe) -> None:
    watch = Watch(LEASE_S, LONG_S, pipe.reading.fileno())
    pipe.writing.write(LINE)
    watch.hello()
    ended = start(watch)
    assert not ended.wait(LEASE_S * 5)
    pipe.writing.close()
    assert ended.wait(SOON_S)


def test_heartbeats_keep_the_child_for_longer_than_the_lease(pipe: Pipe) -> None:
    lease_s = 0.5
    parent = Lifeline(pipe.give_away(), HELLO, heartbeat_s=0.02)
    watch = Watch(lease_s, LONG_S, pipe.reading.fileno())
    watch.hello()
    ended = start(watch)
    assert not ended.wait(lease_s * 1.5)
    parent.close()
    assert ended.wait(SOON_S)


def test_letting_go_twice_is_letting_go(pipe: Pipe) -> None:
    parent = Lifeline(pipe.give_away(), HELLO)
    parent.close()
    parent.close()
    assert pipe.reading.read().endswith(b"\n")


def test_a_child_that_is_gone_is_no_error_for_the_parent(pipe: Pipe) -> None:
    pipe.reading.close()
    Lifeline(pipe.give_away(), HELLO).close()


def test_a_process_that_does_not_end_within_the_grace_is_ended_hard(
    pipe: Pipe, exited: threading.Event
) -> None:
    ending = threading.Event()
    pipe.writing.close()
    Watch(LONG_S, 0.05, pipe.reading.fileno()).start(ending.set, ending)
    assert exited.wait(SOON_S)


def test_a_process_has_its_grace_before_it_is_ended_hard(
    pipe: Pipe, exited: threading.Event
) -> None:
    ending = threading.Event()
    pipe.writing.close()
    Watch(LONG_S, LONG_S, pipe.reading.fileno()).start(ending.set, ending)
    assert ending.wait(SOON_S)
    assert not exited.wait(0.1)


def test_a_process_that_another_holds_goes_on_until_its_end_begins(
    pipe: Pipe, exited: threading.Event
) -> None:
    asked, ending = threading.Event(), threading.Event()
    pipe.writing.close()
    Watch(LONG_S, 0.05, pipe.reading.fileno()).start(asked.set, ending)
    assert asked.wait(SOON_S)
    assert not exited.wait(0.2)
    ending.set()
    assert exited.wait(SOON_S)


def test_a_process_that_began_to_end_by_itself_is_not_ended_while_its_parent_is_there(
    pipe: Pipe, exited: threading.Event
) -> None:
    ending = threading.Event()
    ending.set()
    Watch(LONG_S, 0.01, pipe.reading.fileno()).start(lambda: None, ending)
    assert not exited.wait(0.1)
    pipe.writing.close()
    assert exited.wait(SOON_S)
