"""Who gets a slot, and how much of the context."""

from __future__ import annotations

import pytest

from rbee.contract.errors import AllSlotsBusy, PromptTooLong
from rbee.worker.core.admission import reserve, take_slot


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
    assert str(prompt) in caught.value.message
    assert "100" in caught.value.message
    [error] = caught.value.details["errors"]
    assert (error["field"], error["value"]) == ("prompt", prompt)
    assert "99" in error["constraint"]


def test_a_prompt_that_never_fits_is_not_sent_to_wait() -> None:
    with pytest.raises(PromptTooLong):
        reserve(100, 1, 100, [100], 1)


def test_the_lowest_free_slot_is_taken() -> None:
    assert take_slot([], 4) == 0
    assert take_slot([0, 2], 4) == 1
    assert take_slot([2, 1, 0], 4) == 3


def test_no_slot_is_given_twice() -> None:
    with pytest.raises(AllSlotsBusy) as caught:
        take_slot([3, 1, 0, 2], 4)
    assert caught.value.details == {"slots_total": 4, "slots_busy": 4, "waiting": 0}


def test_the_context_is_given_to_its_last_token() -> None:
    assert reserve(30, 20, 100, [50], 4) == 50


def test_the_context_is_never_given_twice() -> None:
    with pytest.raises(AllSlotsBusy) as caught:
        reserve(30, 21, 100, [50], 4)
    assert caught.value.details == {"slots_total": 4, "slots_busy": 1, "waiting": 0}
