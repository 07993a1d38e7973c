"""What goes into one step, with a pace that the test sets and that takes down what it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rbee.worker.engine import engine
from rbee.worker.engine.batching import Pace

Open = Callable[..., Any]


class Set(Pace):
    """Always the same chunk."""

    tokens = 4
    asked: list[tuple[int, int]]
    noted: list[tuple[int, int]]

    def chunk(self, position: int, answering: int) -> int:
        self.asked.append((position, answering))
        return self.tokens

    def note(self, answering: int, read: int, took_s: float) -> None:
        assert took_s > 0
        self.noted.append((answering, read))


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> type[Set]:
    monkeypatch.setattr(Set, "asked", [], raising=False)
    monkeypatch.setattr(Set, "noted", [], raising=False)
    monkeypatch.setattr(engine, "Pace", Set)
    return Set


async def all_done(at: Any, *names: str) -> None:
    at.engine.start()
    await at.opened()
    at.let()
    for name in names:
        await at.done(name)


async def test_a_prompt_is_read_a_chunk_a_step(desk: Open, pace: type[Set]) -> None:
    at = desk()
    at.begin("x", "abcdefghij", max_tokens=3)
    await all_done(at, "x")
    assert pace.asked == [(0, 0), (4, 0), (8, 0)]
    assert pace.noted == [(0, 4), (0, 4), (0, 2), (1, 0), (1, 0)]
    assert at.text("x") == "klm"


async def test_prompts_share_a_chunk_and_the_deepest_sets_its_size(
    desk: Open, pace: type[Set]
) -> None:
    at = desk()
    at.begin("x", "aaaaaa", max_tokens=1)
    at.begin("y", "b", max_tokens=4)
    await all_done(at, "x", "y")
    assert pace.asked == [(0, 0), (3, 1)]
    assert pace.noted == [(0, 4), (1, 3), (1, 0), (1, 0)]
    assert (at.text("x"), at.text("y")) == ("b", "cdef")


async def test_the_deepest_of_several_prompts_sets_the_size(desk: Open, pace: type[Set]) -> None:
    at = desk()
    at.begin("x", "aaaaaaaa", max_tokens=1)
    at.begin("y", "qqqqqqqq", max_tokens=1)
    at.begin("z", "qqqqzzzz", max_tokens=1)
    await all_done(at, "x", "y", "z")
    assert pace.asked[:3] == [(0, 0), (2, 0), (4, 0)]


async def test_who_finds_no_share_in_a_step_gets_on_in_a_later_one(
    desk: Open, pace: type[Set], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "tokens", 1)
    at = desk()
    for name, prompt in (("x", "ab"), ("y", "kl"), ("z", "pq")):
        at.begin(name, prompt, max_tokens=1)
    await all_done(at, "x", "y", "z")
    assert [at.text(name) for name in ("x", "y", "z")] == ["c", "m", "r"]
    assert [read for _, read in pace.noted] == [1] * 6


async def test_a_batch_is_never_overfilled(
    desk: Open, pace: type[Set], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "tokens", 10_000)
    at = desk(tokens=640)
    at.begin("x", "a", max_tokens=6)
    at.engine.start()
    await at.opened()
    at.let(2)
    await at.at_step(3)
    at.begin("long", "q" * 600, max_tokens=1)
    at.let()
    await at.done("long")
    await at.done("x")
    # 512 in all: a token of the answer, and the rest for the prompt.
    assert pace.noted[:5] == [(0, 1), (1, 0), (1, 0), (1, 511), (1, 89)]
