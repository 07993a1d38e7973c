"""How much of a prompt is read in one step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.worker.core.batching import prefill_chunk


def test_a_short_prompt_is_read_at_once() -> None:
    assert prefill_chunk(20, answering=0, room=512) == 20
    assert prefill_chunk(20, answering=3, room=512) == 20


def test_a_long_prompt_is_read_in_smaller_steps_beside_answers() -> None:
    alone = prefill_chunk(10_000, answering=0, room=512)
    beside = prefill_chunk(10_000, answering=1, room=512)
    assert 0 < beside < alone < 10_000


@pytest.mark.parametrize("answering", [0, 1])
def test_a_batch_is_never_overfilled(answering: int) -> None:
    assert prefill_chunk(10_000, answering, room=3) == 3
    assert prefill_chunk(10_000, answering, room=0) == 0


@given(st.integers(1, 100_000), st.integers(0, 8), st.integers(1, 4096))
def test_a_prompt_always_gets_on(left: int, answering: int, room: int) -> None:
    assert 1 <= prefill_chunk(left, answering, room) <= min(left, room)
