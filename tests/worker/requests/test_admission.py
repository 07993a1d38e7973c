"""Which request gets a slot, and how much of the context."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.errors import AllSlotsBusy, PromptTooLong
from rbee.worker.requests.admission import check_length, check_prompt, check_slot, reserve


def test_a_request_may_fill_prompt_and_answer() -> None:
    assert reserve(10, 20, 100, [], 4) == 30


def test_the_answer_ends_with_the_context() -> None:
    assert reserve(60, 512, 100, [], 4) == 100


def test_a_prompt_that_leaves_room_for_one_token_is_taken() -> None:
    assert reserve(99, 10, 100, [], 4) == 100


@pytest.mark.parametrize("prompt", [100, 101, 5000])
def test_a_prompt_without_room_for_an_answer_is_too_long_with_both_counts(prompt: int) -> None:
    with pytest.raises(PromptTooLong) as caught:
        reserve(prompt, 1, 100, [], 4)
    assert f"has {prompt} tokens" in caught.value.message
    assert "100" in caught.value.message
    [error] = caught.value.details["errors"]
    assert (error["field"], error["value"]) == ("prompt", prompt)
    assert "99" in error["constraint"]


def test_a_prompt_that_never_fits_is_not_sent_to_wait() -> None:
    with pytest.raises(PromptTooLong):
        reserve(100, 1, 100, [100], 1)


@pytest.mark.parametrize("busy", [0, 1, 3])
def test_a_free_slot_lets_a_request_in(busy: int) -> None:
    check_slot(busy, 4)


@pytest.mark.parametrize("busy", [4, 5])
def test_no_slot_is_given_twice(busy: int) -> None:
    with pytest.raises(AllSlotsBusy) as caught:
        check_slot(busy, 4)
    assert caught.value.details == {"slots_total": 4, "slots_busy": 4, "waiting": 0}


def test_a_text_may_be_as_long_as_the_limit() -> None:
    check_length("input", 8, 8, "the model was trained for 8")


def test_a_text_beyond_the_limit_names_itself_and_where_the_limit_comes_from() -> None:
    with pytest.raises(PromptTooLong, match="input has 9 tokens, and the model was trained") as it:
        check_length("input", 9, 8, "the model was trained for 8")
    [error] = it.value.details["errors"]
    assert (error["field"], error["value"]) == ("input", 9)
    assert error["constraint"] == "at most 8 tokens"
    assert error["message"] in it.value.message


def test_the_context_is_given_to_its_last_token() -> None:
    assert reserve(30, 20, 100, [50], 4) == 50


def test_the_context_is_never_given_twice() -> None:
    with pytest.raises(AllSlotsBusy) as caught:
        reserve(30, 21, 100, [50], 4)
    assert caught.value.details == {"slots_total": 4, "slots_busy": 1, "waiting": 0}
    assert "50 of the context's 100 tokens" in caught.value.message
    assert "51" in caught.value.message


def test_what_every_running_request_may_fill_is_counted() -> None:
    assert reserve(10, 10, 100, [30, 50], 4) == 20
    with pytest.raises(AllSlotsBusy) as caught:
        reserve(10, 10, 100, [30, 51], 4)
    assert caught.value.details["slots_busy"] == 2


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(2, 200),
    st.lists(st.integers(1, 100), max_size=3),
)
def test_an_admitted_request_has_room_for_a_token_and_takes_none_of_the_others(
    prompt: int, max_tokens: int, context: int, reserved: list[int]
) -> None:
    try:
        room = reserve(prompt, max_tokens, context, reserved, 4)
    except (AllSlotsBusy, PromptTooLong):
        return
    assert prompt < room <= prompt + max_tokens
    assert room + sum(reserved) <= context


@pytest.mark.parametrize(("trained", "told"), [(100, "no more"), (200, "raise [worker] context")])
def test_what_is_at_its_limit_is_not_to_be_raised(trained: int, told: str) -> None:
    with pytest.raises(PromptTooLong) as caught:
        reserve(100, 1, 100, [], 4, trained)
    assert told in caught.value.advice


def test_what_was_not_counted_is_told_as_more() -> None:
    with pytest.raises(PromptTooLong, match="prompt has more than 900 tokens") as caught:
        check_prompt(900, 100, trained=100, at_least=True)
    assert caught.value.advice.startswith("Shorten the prompt: the model")
