"""The engine's thread over a model of a few kilobytes: answers, their ends, and who shares what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rbee.contract.errors import RequestCanceled
from rbee.contract.events import Token
from rbee.contract.tasks import Sampling
from rbee.worker.engine.load import Loaded
from rbee.worker.model.constraint import Constraint
from rbee.worker.model.sampling import Sampler

Open = Callable[..., Any]


async def started(desk: Any) -> Any:
    desk.engine.start()
    await desk.opened()
    return desk


async def test_an_answer_comes_token_by_token_and_then_its_end(desk: Open) -> None:
    at = await started(desk())
    at.let()
    at.begin("x", "abc", max_tokens=4)
    done = await at.done("x")
    assert at.heard["x"][:-1] == [Token("d", 0), Token("e", 1), Token("f", 2), Token("g", 3)]
    assert (done.total_tokens, done.prompt_tokens, done.cached_tokens) == (4, 3, 0)
    assert done.stop_reason == "MAX_TOKENS"
    assert 0 <= done.time_to_first_token_ms <= done.duration_ms


async def test_the_models_end_of_sequence_is_not_a_token_of_the_answer(desk: Open) -> None:
    at = await started(desk())
    at.let()
    at.begin("x", "vw", max_tokens=10)
    done = await at.done("x")
    assert at.text("x") == "xyz"
    assert (done.total_tokens, done.stop_reason) == (3, "EOS")
    assert at.engine.counts.made == 3


async def test_an_answer_goes_on_beyond_the_models_end_where_that_is_asked(desk: Open) -> None:
    at = await started(desk())
    at.let()
    at.begin("x", "vw", max_tokens=10, ignore_eos=True)
    done = await at.done("x")
    assert (done.total_tokens, done.stop_reason) == (10, "MAX_TOKENS")
    assert at.text("x").startswith("xyz")


async def test_a_stop_sequence_ends_an_answer_and_is_not_shown(desk: Open) -> None:
    at = await started(desk())
    at.let()
    at.begin("x", "a", max_tokens=20, stop=["efg"])
    done = await at.done("x")
    assert at.text("x") == "bcd"
    assert (done.total_tokens, done.stop_reason) == (6, "STOP_SEQUENCE")


async def test_what_was_held_back_for_a_stop_sequence_is_shown_at_the_end(desk: Open) -> None:
    at = await started(desk())
    at.let()
    at.begin("x", "a", max_tokens=4, stop=["de!"])
    at.begin("y", "w", max_tokens=9, stop=["yz!"])
    assert (await at.done("x")).stop_reason == "MAX_TOKENS"
    assert (await at.done("y")).stop_reason == "EOS"
    assert (at.text("x"), at.text("y")) == ("bcde", "xyz")


@pytest.mark.parametrize("prompt", [60, 63])
async def test_a_full_context_ends_an_answer(desk: Open, prompt: int) -> None:
    at = await started(desk(tokens=64))
    at.let()
    at.begin("x", "a" * prompt, max_tokens=100, room=64)
    done = await at.done("x")
    # The last token needs no place any more.
    assert done.total_tokens == 64 - prompt + 1
    assert done.stop_reason == "CONTEXT_FULL"
    assert at.text("x") == "bcdef"[: done.total_tokens]


async def test_answers_are_made_in_the_same_steps(desk: Open) -> None:
    at = desk()
    at.begin("x", "abc", max_tokens=5)
    at.begin("y", "klm", max_tokens=5)
    await started(at)
    at.let()
    await at.done("x")
    await at.done("y")
    assert (at.text("x"), at.text("y")) == ("defgh", "nopqr")
    assert at.context.steps == 5


async def test_an_answer_goes_on_in_each_step_while_a_prompt_is_read(desk: Open) -> None:
    at = desk()
    at.begin("x", "a", max_tokens=20)
    await started(at)
    at.let(2)
    await at.length("x", 2)
    at.begin("long", "q" * 100, max_tokens=2)
    for step in range(3, 7):
        at.let(1)
        await at.length("x", step)
        assert len(at.heard["x"]) == step == at.context.steps
    at.let()
    await at.done("long")
    await at.done("x")
    assert (at.text("x"), at.text("long")) == ("bcdefghijklmnopqrstu", "rs")


async def test_every_token_is_counted_once(desk: Open) -> None:
    at = await started(desk())
    at.let()
    at.begin("x", "abc", max_tokens=4)
    await at.done("x")
    at.begin("y", "abcdefa", max_tokens=2)
    assert (await at.done("y")).cached_tokens == 6
    counts = at.engine.counts
    assert (counts.read, counts.cached, counts.made) == (3 + 1, 6, 4 + 2)


async def test_the_tokens_in_the_cache_are_counted_after_each_step(desk: Open) -> None:
    at = await started(desk())
    at.begin("x", "abc", max_tokens=4)
    at.let(2)
    await at.length("x", 2)
    at.begin("y", "klm", max_tokens=1)
    at.let()
    await at.done("y")
    await at.done("x")
    await at.engine.stop()
    # The last token of an answer is never computed.
    assert at.engine.counts.held == 3 + 3 + 3


async def test_a_canceled_answer_ends_and_the_others_go_on(desk: Open) -> None:
    at = desk()
    at.begin("x", "a", max_tokens=20)
    at.begin("y", "f", max_tokens=6)
    await started(at)
    at.let(3)
    await at.length("y", 3)
    at.cancel("x")
    at.let()
    assert isinstance(await at.last("x"), RequestCanceled)
    await at.done("y")
    # One step more may have been under way.
    assert at.text("x") in ("bcd", "bcde")
    assert at.text("y") == "ghijkl"


async def test_a_canceled_answer_leaves_its_slot_and_what_it_computed(desk: Open) -> None:
    at = desk(slots=1)
    at.begin("x", "abcdef", max_tokens=20)
    at.cancel("x")
    at.begin("y", "abcd", max_tokens=20)
    await started(at)
    at.let(1)
    await at.length("y", 1)
    at.cancel("y")
    at.let()
    assert isinstance(await at.last("x"), RequestCanceled)
    assert isinstance(await at.last("y"), RequestCanceled)
    at.begin("z", "abcdkl", max_tokens=2)
    assert (await at.done("z")).cached_tokens >= 4
    assert at.text("z") == "mn"


async def test_a_cancel_of_a_request_that_does_not_run_does_nothing(desk: Open) -> None:
    at = await started(desk())
    at.let()
    at.cancel("nobody")
    at.begin("x", "abc", max_tokens=2)
    await at.done("x")
    at.cancel("x")
    at.begin("y", "abc", max_tokens=2)
    await at.done("y")
    assert set(at.heard) == {"x", "y"}
    assert len(at.heard["x"]) == 3


@pytest.mark.parametrize(
    ("second", "cached"),
    [("abcdefgh", 7), ("abcdqefg", 4), ("abc", 2), ("abcdefg", 6), ("zabc", 0)],
    ids=["longer", "forks", "shorter", "same", "other"],
)
async def test_an_answer_is_the_same_from_the_cache_and_without(
    desk: Open, noise: Path, second: str, cached: int
) -> None:
    at = await started(desk(noise, slots=1))
    at.let()
    for name, prompt in (("fresh", second), ("first", "abcdefg")):
        at.begin(name, prompt, max_tokens=12, ignore_eos=True, cache_prompt=False)
        assert (await at.done(name)).cached_tokens == 0
    at.begin("again", second, max_tokens=12, ignore_eos=True)
    assert (await at.done("again")).cached_tokens == cached
    assert at.text("again") == at.text("fresh")


async def test_an_answer_is_the_same_beside_one_that_it_shares_a_beginning_with(
    desk: Open, noise: Path
) -> None:
    at = desk(noise)
    at.begin("x", "abcdefg", max_tokens=30, ignore_eos=True)
    await started(at)
    at.let(3)
    await at.length("x", 3)
    at.begin("y", "abcdxy", max_tokens=12, ignore_eos=True)
    at.let()
    assert (await at.done("y")).cached_tokens == 4
    await at.done("x")
    for name, prompt, count in (("x", "abcdefg", 30), ("y", "abcdxy", 12)):
        at.begin("fresh", prompt, max_tokens=count, ignore_eos=True, cache_prompt=False)
        await at.done("fresh")
        assert at.text("fresh") == at.text(name)
        del at.heard["fresh"]


async def test_the_same_seed_gives_the_same_text_and_another_another(
    desk: Open, noise: Path
) -> None:
    at = await started(desk(noise))
    at.let()
    how = {"max_tokens": 24, "ignore_eos": True, "temperature": 5.0, "top_p": 1.0, "min_p": 0.0}
    for name, seed in (("one", 1), ("two", 2), ("one again", 1)):
        at.begin(name, "abc", seed=seed, **how)
        await at.done(name)
    assert at.text("one") == at.text("one again") != at.text("two")


@pytest.mark.parametrize(("seed", "left"), [(1, 0), (None, 2)])
async def test_a_request_with_a_seed_has_the_cache_for_itself(
    desk: Open, seed: int | None, left: int
) -> None:
    at = await started(desk())
    at.let()
    at.begin("x", "abc", max_tokens=1)
    await at.done("x")
    at.begin("y", "klm", max_tokens=1, seed=seed)
    await at.done("y")
    at.begin("x again", "abc", max_tokens=1)
    assert (await at.done("x again")).cached_tokens == left


async def test_without_a_seed_each_text_is_another(desk: Open, noise: Path) -> None:
    at = await started(desk(noise))
    at.let()
    how = {"max_tokens": 24, "ignore_eos": True, "temperature": 5.0, "top_p": 1.0, "min_p": 0.0}
    for name in ("one", "two"):
        at.begin(name, "abc", **how)
        await at.done(name)
    assert at.text("one") != at.text("two")


async def test_what_chooses_the_tokens_is_given_back_at_each_end(
    desk: Open,
) -> None:
    freed: list[Sampler] = []

    class Counted(Sampler):
        def free(self) -> None:
            super().free()
            freed.append(self)

    class Counting(Loaded):
        def sampler(self, sampling: Sampling, constraint: Constraint | None) -> Sampler:
            return Counted(self.model, sampling)

    at = desk(kind=Counting)
    for name in ("canceled", "done"):
        at.begin(name, "abc", max_tokens=2)
    at.cancel("canceled")
    at.begin("dropped", "abc", max_tokens=200)
    await started(at)
    at.let(3)
    await at.done("done")
    await at.stop()
    assert len(set(freed)) == len(freed) == 3


async def test_the_end_of_the_engine_frees_the_model_and_drops_what_runs(desk: Open) -> None:
    at = desk()
    at.begin("x", "abc", max_tokens=20)
    at.embed("e", "abc")
    await started(at)
    at.let(1)
    await at.length("x", 1)
    await at.stop()
    assert at.context.freed
    assert all(isinstance(event, Token) for event in at.heard["x"])


async def test_an_engine_that_never_started_ends_too(desk: Open) -> None:
    await desk().engine.stop()
