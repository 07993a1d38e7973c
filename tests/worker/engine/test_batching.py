"""How much of each prompt is read in one step: what every budget must keep to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rbee.worker.engine.batching import share_out

_UNREAD = st.lists(st.integers(1, 600), min_size=1, max_size=8)


def test_one_prompt_has_the_budget_for_itself() -> None:
    assert share_out(512, [10_000]) == [512]
    assert share_out(512, [20]) == [20]


def test_all_get_the_same() -> None:
    assert share_out(90, [1000, 1000, 1000]) == [30, 30, 30]


def test_what_a_short_prompt_leaves_goes_to_the_others() -> None:
    assert share_out(90, [1000, 10, 1000]) == [40, 10, 40]
    assert share_out(90, [1000, 10, 20]) == [60, 10, 20]


def test_nobody_reading_gets_nothing() -> None:
    assert share_out(64, []) == []


def test_a_step_without_room_reads_nothing() -> None:
    assert share_out(0, [5, 7]) == [0, 0]


@given(st.integers(0, 2000), _UNREAD)
def test_nobody_gets_more_than_is_unread_and_all_together_no_more_than_the_budget(
    budget: int, unread: list[int]
) -> None:
    shares = share_out(budget, unread)
    assert all(0 <= share <= rest for share, rest in zip(shares, unread, strict=True))
    assert sum(shares) <= budget


@given(st.integers(0, 2000), _UNREAD)
def test_the_budget_or_the_work_is_used_up(budget: int, unread: list[int]) -> None:
    assert sum(share_out(budget, unread)) == min(budget, sum(unread))


@given(st.integers(0, 2000), _UNREAD)
def test_everybody_gets_on_where_the_budget_has_a_token_for_each(
    budget: int, unread: list[int]
) -> None:
    shares = share_out(max(budget, len(unread)), unread)
    assert all(share >= 1 for share in shares)


@given(st.integers(0, 2000), _UNREAD)
def test_nobody_gets_more_than_a_token_beyond_whoever_wants_more(
    budget: int, unread: list[int]
) -> None:
    shares = share_out(budget, unread)
    wanting = [share for share, rest in zip(shares, unread, strict=True) if share < rest]
    assert not wanting or max(shares) <= min(wanting) + 1


@given(st.integers(1, 2000), _UNREAD)
def test_a_budget_gets_somebody_on_however_small_it_is(budget: int, unread: list[int]) -> None:
    assert max(share_out(budget, unread)) >= 1
