"""How much of each prompt is read in one step, from made-up measurements of earlier steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.worker.engine.batching import Pace, guess_s, share_out

# A hundredth of a second for each token of a prompt: 60 of them in the longest step.
SLOW = (0.01, 4000, 512)

# The same as a guess: every prompt begins with 32 tokens.
GUESSED = (*SLOW, True)

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
    for decoding, read, took_s in notes:
        pace.note(decoding, read, took_s)
    return pace


def test_a_chunk_alone_takes_no_longer_than_a_cancel_may_wait() -> None:
    assert Pace(0.01, 4000, 512).chunk(0, decoding=0) == 32  # 0.32 s; 64 would be 0.64 s
    assert Pace(0.009, 4000, 512).chunk(0, decoding=0) == 64
    assert Pace(0.6 / 128, 4000, 512).chunk(0, decoding=0) == 128


def test_a_chunk_alone_takes_twice_as_long_where_the_model_says_so() -> None:
    pace = Pace(0.01, 4000, 512)
    # From 32 tokens in 0.32 s to 32 in 0.6 s, at 0.01875 s each.
    assert pace.chunk(3499, decoding=0) == 32
    assert pace.chunk(3501, decoding=0) == 16
    # At twice the time, half the tokens.
    assert Pace(0.6 / 128, 4000, 512).chunk(4000, decoding=0) == 64
    assert Pace(0.6 / 128, 4000, 512).chunk(4001, decoding=0) == 32


def test_a_step_that_can_be_interrupted_may_take_three_seconds() -> None:
    assert Pace(3 / 256, 4000, 512).long_chunk(0) == 256
    assert Pace(3 / 255, 4000, 512).long_chunk(0) == 128
    # At twice the time, half the tokens.
    assert Pace(3 / 256, 4000, 512).long_chunk(4000) == 128
    assert Pace(1e-6, 4000, 100).long_chunk(0) == 100
    assert Pace(10.0, 1, 512).long_chunk(1_000_000) == 16


def test_a_long_step_follows_what_was_measured() -> None:
    pace = Pace(*GUESSED)
    assert pace.long_chunk(0) == 256
    pace.note(decoding=0, read=256, took_s=0.256)
    assert pace.long_chunk(256) == 512


def test_even_the_slowest_machine_reads_sixteen_tokens_alone() -> None:
    assert Pace(10.0, 1, 512).chunk(1_000_000, decoding=0) == 16


def test_a_fast_machine_fills_the_batch() -> None:
    assert Pace(1e-6, 4000, 512).chunk(0, decoding=0) == 512


def test_a_batch_size_that_is_not_a_power_of_two_is_used_fully() -> None:
    assert Pace(1e-6, 4000, 100).chunk(0, decoding=0) == 100
    assert Pace(10.0, 4000, 7).chunk(0, decoding=0) == 7


@given(_PACES, _POSITIONS, _NOTES)
def test_a_chunk_alone_depends_on_its_position_only(
    pace: Pace, position: int, notes: list[tuple[int, int, float]]
) -> None:
    fresh = pace.chunk(position, decoding=0)
    assert noted(pace, notes).chunk(position, decoding=0) == fresh


@given(
    token_s=st.floats(1e-6, 10),
    doubled_at=st.integers(1, 100_000),
    power=st.integers(4, 9),
    position=_POSITIONS,
)
def test_a_chunk_alone_is_a_power_of_two_from_sixteen_up_to_the_batch(
    token_s: float, doubled_at: int, power: int, position: int
) -> None:
    chunk = Pace(token_s, doubled_at, 2**power).chunk(position, decoding=0)
    assert chunk in [2**exponent for exponent in range(4, power + 1)]


@given(_PACES, _POSITIONS, _POSITIONS)
def test_a_chunk_alone_never_grows_with_depth(pace: Pace, one: int, other: int) -> None:
    shallow, deep = sorted((one, other))
    assert pace.chunk(deep, 0) <= pace.chunk(shallow, 0)


def test_a_guess_is_replaced_by_the_time_of_the_first_chunk() -> None:
    pace = Pace(*GUESSED)
    assert pace.chunk(0, decoding=0) == pace.chunk(32, decoding=0) == 32
    pace.note(decoding=0, read=32, took_s=0.032)
    assert pace.chunk(32, decoding=0) == 512
    pace = Pace(*GUESSED)
    pace.note(decoding=0, read=32, took_s=32.0)
    assert pace.chunk(32, decoding=0) == 16


def test_other_work_on_the_machine_does_not_count_in_the_first_measurement() -> None:
    quiet, disturbed = (Pace(0.01, 4000, 512, guessed=True) for _ in range(2))
    quiet.note(decoding=0, read=32, took_s=0.064, cpu_s=0.064)
    disturbed.note(decoding=0, read=32, took_s=0.19, cpu_s=0.064)
    assert disturbed.chunk(64, decoding=0) == quiet.chunk(64, decoding=0) == 256


def test_threads_that_wait_for_each_other_count_in_the_first_measurement() -> None:
    pace = Pace(0.01, 4000, 512, guessed=True)
    pace.note(decoding=0, read=32, took_s=3.0, cpu_s=0.05)
    assert pace.chunk(64, decoding=0) == 16


def test_a_prompt_begins_as_was_guessed_whatever_was_measured_since() -> None:
    pace = Pace(*GUESSED)
    pace.note(decoding=0, read=32, took_s=0.032)
    assert pace.chunk(0, decoding=0) == 32
    assert [pace.border(position) for position in (0, 31, 32, 543, 544)] == [0, 0, 32, 32, 544]


def test_a_few_tokens_tell_nothing_of_many() -> None:
    pace = Pace(*GUESSED)
    pace.note(decoding=0, read=7, took_s=7.0)
    assert pace.chunk(32, decoding=0) == 32
    pace.note(decoding=0, read=8, took_s=0.008)
    assert pace.chunk(32, decoding=0) == 512


def test_only_what_was_read_alone_replaces_a_guess() -> None:
    pace = Pace(*GUESSED)
    pace.note(decoding=1, read=32, took_s=32.0)
    assert pace.chunk(32, decoding=0) == 32


@given(_NOTES, _POSITIONS)
def test_a_guess_is_replaced_once(notes: list[tuple[int, int, float]], position: int) -> None:
    pace = Pace(*GUESSED)
    pace.note(decoding=0, read=32, took_s=0.1)
    fresh = pace.chunk(position, decoding=0)
    assert noted(pace, notes).chunk(position, decoding=0) == fresh


@given(_NOTES, st.integers(0, 8))
def test_what_was_guessed_is_all_that_a_prompt_begins_with(
    notes: list[tuple[int, int, float]], decoding: int
) -> None:
    pace = noted(Pace(*GUESSED), notes)
    assert pace.chunk(0, decoding=0) == 32
    assert 4 <= pace.chunk(0, decoding) <= 32


def test_a_small_computer_reads_a_small_model_in_one_step_and_a_large_one_in_small_ones() -> None:
    def begins_with(parameters: float) -> int:
        return Pace(guess_s(int(parameters)), 4000, 512, guessed=True).chunk(0, decoding=0)

    assert begins_with(135e6) == 64
    assert begins_with(260e6) == 32
    assert begins_with(1e9) == begins_with(70e9) == 16
    assert begins_with(1000) == 512


def test_beside_answers_a_chunk_takes_what_the_step_may_be_stretched_by() -> None:
    pace = Pace(0.01, 4000, 512)
    pace.note(decoding=2, read=0, took_s=0.05)
    # Up to 0.15 s in all: 0.1 s for the prompt, at 0.01 s a token.
    assert pace.chunk(0, decoding=2) == 10


def test_before_anything_was_measured_an_answer_counts_as_a_token_of_the_prompt() -> None:
    assert Pace(0.01, 4000, 512).chunk(0, decoding=1) == 4  # 0.02 s would be 2: too few
    fast = Pace(0.01, 4000, 512)
    fast.note(decoding=1, read=10, took_s=0.02)  # 0.01 s beyond the answer, 0.001 s a token
    # 0.01 + 0.3 × (0.001 - 0.01) = 0.0073 s a token by now, and 0.02 s to spare.
    assert fast.chunk(0, decoding=1) == 4
    for _ in range(20):
        fast.note(decoding=1, read=10, took_s=0.02)
    assert fast.chunk(0, decoding=1) == 19


def test_what_a_prompt_costs_beside_answers_is_learnt() -> None:
    pace = Pace(0.01, 4000, 512)
    pace.note(decoding=1, read=0, took_s=0.1)
    before = pace.chunk(0, decoding=1)
    for _ in range(30):
        pace.note(decoding=1, read=10, took_s=0.1 + 10 * 0.018)
    assert before == 20
    assert pace.chunk(0, decoding=1) == 11  # 0.2 s to spare, at 0.018 s each


def test_one_outlier_does_not_turn_the_pace() -> None:
    pace = Pace(0.01, 4000, 512)
    for _ in range(10):
        pace.note(decoding=1, read=0, took_s=0.1)
    pace.note(decoding=1, read=0, took_s=0.2)
    assert pace.chunk(0, decoding=1) == 26  # 0.13 s without a prompt, by three tenths of it


def test_steps_of_reading_alone_teach_nothing_of_answers() -> None:
    pace = Pace(0.01, 4000, 512)
    pace.note(decoding=1, read=0, took_s=0.1)
    pace.note(decoding=0, read=64, took_s=64.0)
    assert pace.chunk(0, decoding=1) == 20


def test_a_number_of_answers_that_was_never_met_counts_as_the_next_smaller_one() -> None:
    pace = Pace(0.01, 4000, 512)
    pace.note(decoding=1, read=0, took_s=0.05)
    pace.note(decoding=3, read=0, took_s=0.15)
    assert pace.chunk(0, decoding=2) == 10
    assert pace.chunk(0, decoding=3) == 30
    assert pace.chunk(0, decoding=7) == 30


def test_a_reading_that_seems_to_cost_nothing_counts_as_a_tenth_of_the_step() -> None:
    pace = Pace(0.01, 4000, 512)
    pace.note(decoding=1, read=0, took_s=0.1)
    for _ in range(60):
        pace.note(decoding=1, read=10, took_s=0.05)  # less than without a prompt
    # 0.2 s to spare, at 0.0005 s a token: bounded by what is read alone.
    assert pace.chunk(0, decoding=1) == 32
    for _ in range(60):
        pace.note(decoding=1, read=1, took_s=0.09)
    assert pace.chunk(0, decoding=1) == 22  # 0.009 s a token


@given(_PACES, _POSITIONS, st.integers(1, 8), _NOTES)
def test_beside_answers_a_chunk_is_four_tokens_at_least_and_no_more_than_alone(
    pace: Pace, position: int, decoding: int, notes: list[tuple[int, int, float]]
) -> None:
    chunk = noted(pace, notes).chunk(position, decoding)
    assert 4 <= chunk <= max(pace.chunk(position, 0), 4)


@given(st.floats(-10, 10), st.integers(1, 64))
def test_a_clock_that_goes_back_breaks_nothing(took_s: float, read: int) -> None:
    pace = Pace(*SLOW)
    pace.note(decoding=1, read=0, took_s=0.1)
    pace.note(decoding=1, read=read, took_s=took_s)
    pace.note(decoding=1, read=0, took_s=took_s)
    assert pace.chunk(0, decoding=1) >= 4


@pytest.mark.parametrize("took_s", [0.0, 1e-12])
def test_a_clock_that_stands_still_breaks_nothing(took_s: float) -> None:
    pace = Pace(*GUESSED)
    pace.note(decoding=0, read=32, took_s=took_s)
    for _ in range(200):
        pace.note(decoding=1, read=0, took_s=took_s)
        pace.note(decoding=1, read=16, took_s=took_s)
    assert 4 <= pace.chunk(0, decoding=1) <= 32
    assert pace.chunk(32, decoding=0) == 512


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


_UNREAD = st.lists(st.integers(1, 600), min_size=1, max_size=8)


def test_one_prompt_has_the_budget_for_itself() -> None:
    assert share_out(512, [10_000]) == [512]
    assert share_out(512, [20]) == [20]


def test_all_get_the_same() -> None:
    assert share_out(90, [1000, 1000, 1000]) == [30, 30, 30]


def test_what_a_short_prompt_leaves_goes_to_the_others() -> None:
    assert share_out(90, [1000, 10, 1000]) == [40, 10, 40]
    assert share_out(90, [1000, 10, 20]) == [60, 10, 20]


def test_without_prompts_there_are_no_shares() -> None:
    assert share_out(64, []) == []


def test_a_step_without_room_reads_nothing() -> None:
    assert share_out(0, [5, 7]) == [0, 0]


@given(st.integers(0, 2000), _UNREAD)
def test_no_share_exceeds_its_prompt_and_all_together_not_the_budget(
    budget: int, unread: list[int]
) -> None:
    shares = share_out(budget, unread)
    assert all(0 <= share <= rest for share, rest in zip(shares, unread, strict=True))
    assert sum(shares) <= budget


@given(st.integers(0, 2000), _UNREAD)
def test_the_budget_or_the_work_is_used_up(budget: int, unread: list[int]) -> None:
    assert sum(share_out(budget, unread)) == min(budget, sum(unread))


@given(st.integers(0, 2000), _UNREAD)
def test_every_prompt_gets_a_share_if_the_budget_has_a_token_for_each(
    budget: int, unread: list[int]
) -> None:
    shares = share_out(max(budget, len(unread)), unread)
    assert all(share >= 1 for share in shares)


@given(st.integers(0, 2000), _UNREAD)
def test_shares_differ_by_at_most_one_token_unless_a_prompt_is_short(
    budget: int, unread: list[int]
) -> None:
    shares = share_out(budget, unread)
    wanting = [share for share, rest in zip(shares, unread, strict=True) if share < rest]
    assert not wanting or max(shares) <= min(wanting) + 1


@given(st.integers(1, 2000), _UNREAD)
def test_even_the_smallest_budget_gives_one_prompt_a_token(budget: int, unread: list[int]) -> None:
    assert max(share_out(budget, unread)) >= 1
