"""No success without proof: an answer is whole only with its `done`."""

from __future__ import annotations

import pytest

from rbee.contract.errors import StreamTruncated
from rbee.contract.events import (
    Accepted,
    Call,
    Done,
    Event,
    Narration,
    Queued,
    Started,
    StopReason,
    Token,
)
from rbee.keeper.chat.answer import BUSY_PAUSES_S, Answer, summary, waiting

DONE = Done(True, 2, 1234.5, 9, 0, 321.6, 17.25, "EOS")


def answer(*events: Event) -> Answer:
    taken = Answer()
    for event in events:
        taken.take(event)
    return taken


def test_an_answer_with_its_done_is_proven() -> None:
    assert answer(Token("a", 0), DONE).proof() == DONE


def test_an_answer_without_its_done_is_truncated_and_says_how_much_came() -> None:
    with pytest.raises(StreamTruncated) as caught:
        answer(Token("a", 0), Token("b", 1)).proof()
    assert caught.value.details == {"tokens": 2}
    assert "2 tokens" in caught.value.message


def test_an_empty_stream_proves_nothing() -> None:
    with pytest.raises(StreamTruncated):
        answer().proof()


def test_the_text_is_what_the_tokens_say_in_order() -> None:
    taken = answer(Token("Es ", 0), Token("", 1), Token("war\n", 2), DONE)
    assert taken.text == "Es war\n"
    assert taken.tokens == 3


def test_the_request_is_known_once_it_is_accepted() -> None:
    assert answer().request_id is None
    assert answer(Accepted("r-1"), Token("a", 0)).request_id == "r-1"


def test_narration_is_not_part_of_the_answer() -> None:
    taken = answer(
        Accepted("r-1"),
        Queued(1, 1),
        Narration("a", "words", "c"),
        Started("r-1", "m", "w", "n"),
    )
    assert (taken.text, taken.tokens, taken.done) == ("", 0, None)


def test_the_summary_is_one_line_of_figures() -> None:
    line = summary(DONE)
    assert "\n" not in line
    assert "2 tokens" in line
    assert "322 ms" in line
    assert "17.2 tokens/s" in line


@pytest.mark.parametrize(("count", "words"), [(0, "0 tokens"), (1, "1 token ·"), (2, "2 tokens")])
def test_the_summary_has_a_singular(count: int, words: str) -> None:
    assert summary(Done(True, count, 1, 1, 0, 1, 1, "EOS")).startswith(words)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("MAX_TOKENS", "17.0 tokens/s · stopped at --max-tokens 9"),
        ("CONTEXT_FULL", "17.0 tokens/s · stopped because the context is full"),
        ("EOS", "17.0 tokens/s"),
        ("STOP_SEQUENCE", "17.0 tokens/s"),
    ],
)
def test_an_answer_that_was_cut_says_so(reason: StopReason, words: str) -> None:
    assert summary(Done(True, 9, 1, 1, 0, 1, 17, reason)).endswith(words)


def test_a_busy_worker_is_asked_again_after_1_2_and_4_seconds() -> None:
    assert BUSY_PAUSES_S == (1, 2, 4)


def test_the_text_of_a_wait_fits_into_40_columns() -> None:
    lines = [waiting(turn, left) for turn in (1, 2, 3) for left in (4, 0)]
    assert all(len(line) + 1 < 40 for line in lines), lines


def test_a_wait_says_how_much_is_left_and_afterwards_how_long_it_was() -> None:
    assert waiting(3, 4) == "⏳ busy: trying again in 4 s (3 of 3)"
    assert waiting(3, 0) == "⏳ busy: tried again after 4 s (3 of 3)"


def test_the_text_is_what_the_model_says_and_not_its_reasoning_nor_its_calls() -> None:
    taken = answer(
        Token("Hm", 0, "reasoning"),
        Token("", 1, "reasoning"),
        Token("Yes", 1),
        Token("", 2, "tool_call", Call(0, "a", "add")),
        Token('{"a": ', 2, "tool_call", Call(0)),
        Token("1}", 3, "tool_call", Call(0)),
        Token('{"b"', 4, "tool_call", Call(1, "b", "now")),
        DONE,
    )
    assert (taken.text, taken.tokens) == ("Yes", 5)
    assert [call.as_json() for call in taken.calls] == [
        '{"name":"add","arguments":{"a":1}}',
        '{"name":"now","arguments":"{\\"b\\""}',
    ]
