"""What goes into one step, with a pace that the test sets and that records its calls."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from rbee.contract.errors import RequestCanceled
from rbee.worker.engine.batching import Pace
from rbee.worker.engine.load import Loaded
from rbee.worker.model import llama

Open = Callable[..., Any]


class Set(Pace):
    """Always the same chunk, of `tokens`."""

    def __init__(self) -> None:
        super().__init__(1e-4, 1000, 512)
        self.tokens = 4
        self.asked: list[tuple[int, int]] = []
        self.long = 0
        self.noted: list[tuple[int, int]] = []

    def chunk(self, position: int, decoding: int) -> int:
        self.asked.append((position, decoding))
        return self.tokens

    def long_chunk(self, position: int) -> int:
        return self.long

    def note(self, decoding: int, read: int, took_s: float, cpu_s: float) -> None:
        assert took_s > 0
        self.noted.append((decoding, read))


@pytest.fixture
def pace() -> Set:
    return Set()


@pytest.fixture
def paced(desk: Open, pace: Set) -> Open:
    """A desk whose engine keeps to that pace."""

    class Paced(Loaded):
        def pace(self) -> Pace:
            return pace

    return lambda **more: desk(kind=Paced, **more)


async def all_done(at: Any, *names: str) -> None:
    at.engine.start()
    await at.opened()
    at.let()
    for name in names:
        await at.done(name)


async def about_to_compute(at: Any) -> None:
    """Its first step: what comes now finds it under way."""
    at.engine.start()
    await at.opened()
    await at.at_step(1)


async def test_a_prompt_is_read_a_chunk_a_step(paced: Open, pace: Set) -> None:
    at = paced()
    at.begin("x", "abcdefghij", max_tokens=3)
    await all_done(at, "x")
    assert pace.asked == [(0, 0), (4, 0), (8, 0)]
    assert pace.noted == [(0, 4), (0, 4), (0, 2), (1, 0), (1, 0)]
    assert at.text("x") == "klm"


async def test_prompts_share_a_chunk_and_the_deepest_sets_its_size(paced: Open, pace: Set) -> None:
    at = paced()
    at.begin("x", "aaaaaa", max_tokens=1)
    at.begin("y", "b", max_tokens=4)
    await all_done(at, "x", "y")
    assert pace.asked == [(0, 0), (3, 1)]
    assert pace.noted == [(0, 4), (1, 3), (1, 0), (1, 0)]
    assert (at.text("x"), at.text("y")) == ("b", "cdef")


async def test_the_deepest_of_several_prompts_sets_the_size(paced: Open, pace: Set) -> None:
    at = paced()
    at.begin("x", "aaaaaaaa", max_tokens=1)
    at.begin("y", "qqqqqqqq", max_tokens=1)
    at.begin("z", "qqqqzzzz", max_tokens=1)
    await all_done(at, "x", "y", "z")
    assert pace.asked[:3] == [(0, 0), (2, 0), (4, 0)]


async def test_a_prompt_without_a_share_in_a_step_is_read_in_a_later_one(
    paced: Open, pace: Set
) -> None:
    pace.tokens = 1
    at = paced()
    for name, prompt in (("x", "ab"), ("y", "kl"), ("z", "pq")):
        at.begin(name, prompt, max_tokens=1)
    await all_done(at, "x", "y", "z")
    assert [at.text(name) for name in ("x", "y", "z")] == ["c", "m", "r"]
    assert [read for _, read in pace.noted] == [1] * 6


async def test_a_batch_is_never_overfilled(paced: Open, pace: Set) -> None:
    pace.tokens = 10_000
    at = paced(tokens=640)
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


async def test_a_prompt_that_is_alone_is_read_in_long_steps(paced: Open, pace: Set) -> None:
    pace.long = 8
    at = paced()
    at.begin("x", "abcdefghij", max_tokens=1)
    await all_done(at, "x")
    assert pace.noted == [(0, 8), (0, 2)]
    assert at.text("x") == "k"


async def test_whatever_comes_interrupts_a_long_step(paced: Open, pace: Set) -> None:
    pace.long = 8
    at = paced()
    at.begin("x", "abcdefghij", max_tokens=2)
    await about_to_compute(at)
    at.begin("y", "pq", max_tokens=1)
    at.let()
    await at.done("x")
    await at.done("y")
    assert (at.text("x"), at.text("y")) == ("kl", "r")
    # What was interrupted is read again, with the newcomer, and is measured only then.
    assert pace.asked[:2] == [(0, 0), (0, 0)]
    assert pace.noted[0] == (0, 4)


async def test_a_prompt_that_was_interrupted_is_read_on_in_short_steps(
    paced: Open, pace: Set
) -> None:
    pace.long = 8
    at = paced()
    at.begin("x", "abcdefghijklmnop", max_tokens=1)
    at.engine.start()
    await at.opened()
    for step in range(1, 4):
        await at.at_step(1)
        at.cancel(f"nobody {step}")
        at.let(1)
    at.let()
    await at.done("x")
    assert at.text("x") == "q"
    assert pace.noted == [(0, 4)] * 4


async def test_a_cancel_interrupts_a_long_step_and_what_was_read_before_stays(
    paced: Open, pace: Set
) -> None:
    pace.long = 6
    at = paced()
    at.begin("x", "abcdefghijklmnop", max_tokens=1)
    at.engine.start()
    await at.opened()
    at.let(1)
    await at.at_step(2)
    at.cancel("x")
    at.let()
    assert isinstance(await at.last("x"), RequestCanceled)
    at.begin("y", "abcdefghijklmnop", max_tokens=1)
    done = await at.done("y")
    assert (done.cached_tokens, at.text("y")) == (6, "q")


async def test_beside_vectors_a_prompt_has_no_long_steps(paced: Open, pace: Set) -> None:
    pace.long = 8
    at = paced()
    at.embed("v", "a" * 40)
    at.begin("x", "abcdefgh", max_tokens=1)
    await all_done(at, "x")
    assert (0, 4) in pace.noted
    assert (0, 8) not in pace.noted


async def test_a_prompt_with_a_seed_has_no_long_steps(paced: Open, pace: Set) -> None:
    """Its text would depend on who comes when: the sums depend on the size of a step."""
    pace.long = 8
    at = paced()
    at.begin("x", "abcdefghij", max_tokens=1, seed=7)
    await all_done(at, "x")
    assert pace.noted == [(0, 4), (0, 4), (0, 2)]


async def test_what_is_read_at_once_in_any_case_is_not_interrupted(paced: Open, pace: Set) -> None:
    pace.long = 8
    at = paced()
    at.begin("x", "abcd", max_tokens=1)
    await about_to_compute(at)
    at.cancel("nobody")
    at.let()
    await at.done("x")
    assert pace.asked == [(0, 0)]


async def test_an_interrupted_step_is_no_error_in_the_log(
    paced: Open, pace: Set, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    llama._llama_log.cache_clear()  # another test may have given llama.cpp another log
    pace.long = 8
    at = paced()
    at.begin("x", "abcdefghij", max_tokens=1)
    await about_to_compute(at)
    caplog.clear()
    llama.forget_reasons()
    at.cancel("nobody")
    at.let()
    await at.done("x")
    said = [each for each in caplog.records if each.name == "llama-cpp"]
    assert any("failed" in each.message for each in said)  # llama.cpp says so
    assert {each.levelno for each in said} == {logging.DEBUG}
    assert "gave no reason" in llama.last_reason()
