"""What an answer cost, from the moments of its tokens."""

from __future__ import annotations

from rbee.worker.engine.request import Timings


def test_times_and_counts_are_in_the_done_event() -> None:
    timings = Timings(arrived_at=100.0, prompt_tokens=7, cached_tokens=3)
    for now in (100.5, 100.6, 100.7):
        timings.token(now)
    done = timings.done(100.8, "EOS")
    assert done.done is True
    assert (done.total_tokens, done.prompt_tokens, done.cached_tokens) == (3, 7, 3)
    assert done.stop_reason == "EOS"
    assert (done.duration_ms, done.time_to_first_token_ms) == (800, 500)


def test_the_rate_is_the_decodes_without_the_prompts_reading() -> None:
    timings = Timings(arrived_at=0.0, prompt_tokens=1000, cached_tokens=0)
    for step in range(11):
        timings.token(60.0 + step * 0.1)
    assert timings.done(61.5, "MAX_TOKENS").tokens_per_second == 10


def test_the_rate_of_one_token_is_the_whole_times() -> None:
    timings = Timings(arrived_at=0.0, prompt_tokens=5, cached_tokens=0)
    timings.token(0.5)
    assert timings.done(0.5, "MAX_TOKENS").tokens_per_second == 2


def test_the_rate_of_two_tokens_is_that_of_the_step_between_them() -> None:
    timings = Timings(arrived_at=100.0, prompt_tokens=5, cached_tokens=0)
    timings.token(101.0)
    timings.token(101.25)
    assert timings.done(102.0, "EOS").tokens_per_second == 4


def test_figures_are_rounded_to_three_places() -> None:
    timings = Timings(arrived_at=100.0, prompt_tokens=5, cached_tokens=0)
    timings.token(100.0001237)
    done = timings.done(103.0001237, "MAX_TOKENS")
    assert (done.time_to_first_token_ms, done.duration_ms) == (0.124, 3000.124)
    assert done.tokens_per_second == 0.333


def test_an_answer_without_a_token_has_a_rate_of_nothing() -> None:
    done = Timings(arrived_at=2.0, prompt_tokens=5, cached_tokens=0).done(2.25, "EOS")
    assert (done.total_tokens, done.tokens_per_second) == (0, 0)
    assert done.time_to_first_token_ms == done.duration_ms == 250


def test_a_clock_that_stands_still_breaks_nothing() -> None:
    timings = Timings(arrived_at=1.0, prompt_tokens=1, cached_tokens=0)
    timings.token(1.0)
    timings.token(1.0)
    done = timings.done(1.0, "EOS")
    assert done.duration_ms == 0
    assert done.tokens_per_second > 0


def test_tokens_are_counted_as_they_come() -> None:
    timings = Timings(arrived_at=0.0, prompt_tokens=1, cached_tokens=0)
    timings.token(0.1)
    timings.token(0.2)
    assert timings.tokens == 2
