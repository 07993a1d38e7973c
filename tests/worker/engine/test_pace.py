"""How large a chunk of a prompt may be, from what steps took: in seconds that are made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.worker.engine.batching import Pace

# A hundredth of a second for each token of a prompt: 60 of them in the longest step.
SLOW = (0.01, 4000, 512)

_NOTES = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.integers(0, 512),
        st.floats(0, 1e4) | st.sampled_from([0.0, 1e-9, 1e-6, 0.05, 3600.0]),
    ),
    max_size=40,
)
_PACES = st.builds(
    Pace,
    token_s=st.floats(1e-6, 10),
    doubled_at=st.integers(1, 100_000),
    largest=st.sampled_from([1, 16, 64, 100, 512]),
)
_POSITIONS = st.integers(0, 1_000_000)


def noted(pace: Pace, notes: list[tuple[int, int, float]]) -> Pace:
    for answering, read, took_s in notes:
        pace.note(answering, read, took_s)
    return pace


def test_a_chunk_alone_takes_no_longer_than_a_cancel_may_wait() -> None:
    assert Pace(0.01, 4000, 512).chunk(0, answering=0) == 32  # 0.32 s; 64 would be 0.64 s
    assert Pace(0.009, 4000, 512).chunk(0, answering=0) == 64
    assert Pace(0.6 / 128, 4000, 512).chunk(0, answering=0) == 128


def test_a_chunk_alone_takes_twice_as_long_where_the_model_says_so() -> None:
    pace = Pace(0.01, 4000, 512)
    # From 32 tokens in 0.32 s to 32 in 0.6 s, at 0.01875 s each.
    assert pace.chunk(3499, answering=0) == 32
    assert pace.chunk(3501, answering=0) == 16
    # At twice the time, half the tokens.
    assert Pace(0.6 / 128, 4000, 512).chunk(4000, answering=0) == 64
    assert Pace(0.6 / 128, 4000, 512).chunk(4001, answering=0) == 32


def test_even_the_slowest_machine_reads_sixteen_tokens_alone() -> None:
    assert Pace(10.0, 1, 512).chunk(1_000_000, answering=0) == 16


def test_a_fast_machine_fills_the_batch() -> None:
    assert Pace(1e-6, 4000, 512).chunk(0, answering=0) == 512


def test_a_batch_that_is_no_power_of_two_is_filled_to_its_end() -> None:
    assert Pace(1e-6, 4000, 100).chunk(0, answering=0) == 100
    assert Pace(10.0, 4000, 7).chunk(0, answering=0) == 7


@given(_PACES, _POSITIONS, _NOTES)
def test_a_chunk_alone_depends_on_its_position_only(
    pace: Pace, position: int, notes: list[tuple[int, int, float]]
) -> None:
    fresh = pace.chunk(position, answering=0)
    assert noted(pace, notes).chunk(position, answering=0) == fresh


@given(
    token_s=st.floats(1e-6, 10),
    doubled_at=st.integers(1, 100_000),
    power=st.integers(4, 9),
    position=_POSITIONS,
)
def test_a_chunk_alone_is_a_power_of_two_from_sixteen_up_to_the_batch(
    token_s: float, doubled_at: int, power: int, position: int
) -> None:
    chunk = Pace(token_s, doubled_at, 2**power).chunk(position, answering=0)
    assert chunk in [2**exponent for exponent in range(4, power + 1)]


@given(_PACES, _POSITIONS, _POSITIONS)
def test_a_chunk_alone_never_grows_with_depth(pace: Pace, one: int, other: int) -> None:
    shallow, deep = sorted((one, other))
    assert pace.chunk(deep, 0) <= pace.chunk(shallow, 0)


def test_beside_answers_a_chunk_takes_what_the_step_may_be_stretched_by() -> None:
    pace = Pace(0.01, 4000, 512)
    pace.note(answering=2, read=0, took_s=0.05)
    # Up to 0.15 s in all: 0.1 s for the prompt, at 0.01 s a token.
    assert pace.chunk(0, answering=2) == 10


def test_before_anything_was_measured_an_answer_counts_as_a_token_of_the_prompt() -> None:
    assert Pace(0.01, 4000, 512).chunk(0, answering=1) == 4  # 0.02 s would be 2: too few
    fast = Pace(0.01, 4000, 512)
    fast.note(answering=1, read=10, took_s=0.02)  # 0.01 s beyond the answer, 0.001 s a token
    # 0.01 + 0.3 × (0.001 - 0.01) = 0.0073 s a token by now, and 0.02 s to spare.
    assert fast.chunk(0, answering=1) == 4
    for _ in range(20):
        fast.note(answering=1, read=10, took_s=0.02)
    assert fast.chunk(0, answering=1) == 19


def test_what_a_prompt_costs_beside_answers_is_learnt() -> None:
    pace = Pace(0.01, 4000, 512)
    pace.note(answering=1, read=0, took_s=0.1)
    before = pace.chunk(0, answering=1)
    for _ in range(30):
        pace.note(answering=1, read=10, took_s=0.1 + 10 * 0.018)
    assert before == 20
    assert pace.chunk(0, answering=1) == 11  # 0.2 s to spare, at 0.018 s each


def test_one_outlier_does_not_turn_the_pace() -> None:
    pace = Pace(0.01, 4000, 512)
    for _ in range(10):
        pace.note(answering=1, read=0, took_s=0.1)
    pace.note(answering=1, read=0, took_s=0.2)
    assert pace.chunk(0, answering=1) == 26  # 0.13 s without a prompt, by three tenths of it


def test_steps_of_reading_alone_teach_nothing_of_answers() -> None:
    pace = Pace(0.01, 4000, 512)
    pace.note(answering=1, read=0, took_s=0.1)
    pace.note(answering=0, read=64, took_s=64.0)
    assert pace.chunk(0, answering=1) == 20


def test_a_number_of_answers_that_was_never_met_counts_as_the_next_smaller_one() -> None:
    pace = Pace(0.01, 4000, 512)
    pace.note(answering=1, read=0, took_s=0.05)
    pace.note(answering=3, read=0, took_s=0.15)
    assert pace.chunk(0, answering=2) == 10
    assert pace.chunk(0, answering=3) == 30
    assert pace.chunk(0, answering=7) == 30


def test_a_reading_that_seems_to_cost_nothing_counts_as_a_tenth_of_the_step() -> None:
    pace = Pace(0.01, 4000, 512)
    pace.note(answering=1, read=0, took_s=0.1)
    for _ in range(60):
        pace.note(answering=1, read=10, took_s=0.05)  # less than without a prompt
    # 0.2 s to spare, at 0.0005 s a token: bounded by what is read alone.
    assert pace.chunk(0, answering=1) == 32
    for _ in range(60):
        pace.note(answering=1, read=1, took_s=0.09)
    assert pace.chunk(0, answering=1) == 22  # 0.009 s a token


@given(_PACES, _POSITIONS, st.integers(1, 8), _NOTES)
def test_beside_answers_a_chunk_is_four_tokens_at_least_and_no_more_than_alone(
    pace: Pace, position: int, answering: int, notes: list[tuple[int, int, float]]
) -> None:
    chunk = noted(pace, notes).chunk(position, answering)
    assert 4 <= chunk <= max(pace.chunk(position, 0), 4)


@given(st.floats(-10, 10), st.integers(1, 64))
def test_a_clock_that_goes_back_breaks_nothing(took_s: float, read: int) -> None:
    pace = Pace(*SLOW)
    pace.note(answering=1, read=0, took_s=0.1)
    pace.note(answering=1, read=read, took_s=took_s)
    pace.note(answering=1, read=0, took_s=took_s)
    assert pace.chunk(0, answering=1) >= 4


@pytest.mark.parametrize("took_s", [0.0, 1e-12])
def test_a_clock_that_stands_still_breaks_nothing(took_s: float) -> None:
    pace = Pace(*SLOW)
    for _ in range(200):
        pace.note(answering=1, read=0, took_s=took_s)
        pace.note(answering=1, read=16, took_s=took_s)
    assert 4 <= pace.chunk(0, answering=1) <= 32


@given(_PACES, _POSITIONS)
def test_a_border_is_where_a_chunk_begins_that_holds_the_position(
    pace: Pace, position: int
) -> None:
    position %= 20_000
    border = pace.border(position)
    assert border <= position < border + pace.chunk(border, 0)
    assert pace.border(border) == border


def test_the_borders_are_those_of_a_prompt_that_is_read_alone() -> None:
    pace = Pace(*SLOW)
    begins, at = [], 0
    while at < 3000:
        begins.append(at)
        at += pace.chunk(at, 0)
    assert sorted({pace.border(position) for position in range(3000)}) == begins
