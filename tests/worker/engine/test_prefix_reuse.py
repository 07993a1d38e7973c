"""Which slot a prompt goes to, which prefix it reuses, and which slots are emptied for it."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rbee.worker.engine.prefix_reuse import Place, Slot, common, oldest_free, place, to_evict

# Few tokens, so that beginnings are shared often.
_TOKENS = st.lists(st.integers(0, 1), max_size=12)
_PROMPT = st.lists(st.integers(0, 1), min_size=1, max_size=12)
_SLOT = st.builds(Slot, tokens=_TOKENS, busy=st.booleans(), used=st.integers(0, 5))
# One slot at least is free.
_SLOTS = st.lists(_SLOT, min_size=1, max_size=5).filter(
    lambda slots: not all(slot.busy for slot in slots)
)


def slot(tokens: str, used: int = 0, busy: bool = False) -> Slot:
    return Slot([ord(letter) for letter in tokens], busy, used)


def put(prompt: str, *slots: Slot, can_cut: bool = True) -> Place:
    return place([ord(letter) for letter in prompt], slots, can_cut)


def test_a_first_prompt_begins_in_an_empty_slot() -> None:
    assert put("abc", slot(""), slot("")) == Place(0, 0, 0)


def test_an_unknown_prompt_takes_the_slot_that_was_used_longest_ago() -> None:
    assert put("xyz", slot("abc", 3), slot("def", 1), slot("ghi", 2)) == Place(1, 1, 0)


def test_a_busy_slot_is_not_free_however_old_it_is() -> None:
    assert put("xyz", slot("abc", 1, busy=True), slot("def", 2)) == Place(1, 1, 0)


def test_a_conversation_goes_on_where_it_was() -> None:
    assert put("abcdef", slot("xyz", 1), slot("abcd", 2)) == Place(1, 1, 4)


def test_the_longest_shared_beginning_counts() -> None:
    assert put("abcdef", slot("ab", 1), slot("abcd", 2), slot("abc", 3)) == Place(1, 1, 4)


def test_the_last_token_of_a_prompt_is_always_computed() -> None:
    assert put("abc", slot("abc", 1), slot("")) == Place(0, 0, 2)
    assert put("abc", slot("abcd", 1), slot("")) == Place(0, 0, 2)


def test_a_prompt_of_one_token_finds_nothing() -> None:
    assert put("a", slot("abc", 1), slot("")) == Place(1, 1, 0)


def test_a_long_rest_stays_where_it_is_and_its_beginning_is_shared() -> None:
    assert put("abX", slot("abcde", 2), slot("", 0)) == Place(1, 0, 2)


def test_a_rest_as_long_as_what_is_kept_is_thrown_away() -> None:
    assert put("abX", slot("abcd", 2), slot("", 0)) == Place(0, 0, 2)


def test_the_only_free_slot_is_cut_back_however_long_its_rest_is() -> None:
    assert put("aX", slot("abcdefgh", 2), slot("q", 1, busy=True)) == Place(0, 0, 1)


def test_the_beginning_of_a_request_that_runs_is_shared_with_it() -> None:
    assert put("abX", slot("ab", 2, busy=True), slot("", 0)) == Place(1, 0, 2)


def test_a_state_that_cannot_be_cut_is_carried_on_from_its_end() -> None:
    assert put("abcd", slot("abc", 2), slot("", 0), can_cut=False) == Place(0, 0, 3)


@pytest.mark.parametrize("held", ["abX", "abcd", "abcde"], ids=["other", "same", "longer"])
def test_a_state_that_cannot_be_cut_is_not_reused_if_it_ends_differently(held: str) -> None:
    assert put("abcd", slot(held, 2), slot("", 0), can_cut=False) == Place(1, 1, 0)


def test_a_state_that_cannot_be_cut_is_not_shared_with_a_request_that_runs() -> None:
    assert put("abcd", slot("ab", 2, busy=True), slot("", 0), can_cut=False) == Place(1, 1, 0)


@given(_PROMPT, _SLOTS, st.booleans())
def test_a_place_is_free_and_its_source_holds_what_is_taken(
    prompt: list[int], slots: list[Slot], can_cut: bool
) -> None:
    found = place(prompt, slots, can_cut)
    assert not slots[found.slot].busy
    assert 0 <= found.cached <= len(prompt) - 1
    assert slots[found.source].tokens[: found.cached] == prompt[: found.cached]


@given(_PROMPT, _SLOTS)
def test_nothing_longer_could_have_been_taken(prompt: list[int], slots: list[Slot]) -> None:
    longest = max(common(prompt, slot.tokens) for slot in slots)
    assert place(prompt, slots, can_cut=True).cached == min(longest, len(prompt) - 1)


@given(_PROMPT, _SLOTS)
def test_without_parts_only_the_exact_end_of_a_free_slot_is_carried_on(
    prompt: list[int], slots: list[Slot]
) -> None:
    found = place(prompt, slots, can_cut=False)
    if found.cached:
        assert found.source == found.slot
        assert slots[found.slot].tokens == prompt[: found.cached]
    else:
        ends = [slot.tokens for slot in slots if not slot.busy and slot.tokens]
        assert not any(end == prompt[: len(end)] and len(end) < len(prompt) for end in ends)


@given(_SLOTS)
def test_an_empty_slot_goes_first_then_the_oldest(slots: list[Slot]) -> None:
    found = oldest_free(slots)
    free = [slot for slot in slots if not slot.busy]
    empty = [slot for slot in free if not slot.tokens]
    assert slots[found] in (empty or free)
    assert slots[found].used == min(slot.used for slot in empty or free)


@given(_TOKENS, _TOKENS)
def test_what_two_texts_share_ends_where_they_part(one: list[int], other: list[int]) -> None:
    shared = common(one, other)
    assert one[:shared] == other[:shared]
    assert shared == min(len(one), len(other)) or one[shared] != other[shared]


def test_nothing_goes_while_there_is_room() -> None:
    assert to_evict([slot("abc", 1), slot("def", 2)], 4, 10) == []


def test_the_oldest_goes_first_and_no_more_than_must() -> None:
    slots = [slot("abc", 3), slot("defg", 1), slot("hi", 2)]
    assert to_evict(slots, 2, 10) == [1]
    assert to_evict(slots, 5, 10) == [1]
    assert to_evict(slots, 6, 10) == [1, 2]
    assert to_evict(slots, 8, 10) == [1, 2, 0]


def test_a_busy_slot_stays_and_counts_only_by_its_reservation() -> None:
    assert to_evict([slot("abcdefgh", 1, busy=True), slot("ij", 2)], 8, 10) == []
    assert to_evict([slot("abcdefgh", 1, busy=True), slot("ij", 2)], 9, 10) == [1]


@given(_SLOTS, st.integers(1, 40), st.integers(1, 40))
def test_eviction_makes_room_and_empties_no_more_than_it_must(
    slots: list[Slot], wanted: int, context: int
) -> None:
    assume(wanted <= context)
    gone = to_evict(slots, wanted, context)
    assert len(set(gone)) == len(gone)
    assert not any(slots[index].busy or not slots[index].tokens for index in gone)
    free = [index for index, slot in enumerate(slots) if not slot.busy]
    left = sum(len(slots[index].tokens) for index in free if index not in gone)
    assert wanted + left <= context
    if gone:
        assert wanted + left + len(slots[gone[-1]].tokens) > context
    stay = [slots[index].used for index in free if index not in gone and slots[index].tokens]
    assert all(slots[index].used <= min(stay, default=99) for index in gone)
