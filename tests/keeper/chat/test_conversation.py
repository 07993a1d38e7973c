"""The conversation that is sent with every question of a chat."""

from __future__ import annotations

import pytest

from rbee.contract.errors import PromptTooLong
from rbee.contract.tasks import Message
from rbee.keeper.chat.conversation import Conversation, content, is_open


def said(conversation: Conversation) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in conversation.messages]


def talked(*turns: tuple[str, str], system: str | None = None) -> Conversation:
    conversation = Conversation([Message("system", system)] if system else [])
    for question, answer in turns:
        conversation.ask(question)
        conversation.answer(answer)
    return conversation


def too_long(tokens: object, constraint: object) -> PromptTooLong:
    return PromptTooLong("no", errors=[{"value": tokens, "constraint": constraint}])


def test_the_conversation_precedes_the_question() -> None:
    conversation = talked(("a", "b"), ("c", "d"), system="s")
    conversation.ask("e")
    assert said(conversation) == [
        ("system", "s"),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
        ("user", "e"),
    ]


def test_a_question_without_an_answer_is_dropped() -> None:
    assert said(talked(("a", ""), ("b", "c"))) == [("user", "b"), ("assistant", "c")]


def test_an_answer_that_broke_off_counts_as_far_as_it_came() -> None:
    assert said(talked(("a", "half an ans"))) == [("user", "a"), ("assistant", "half an ans")]


def test_a_question_that_is_asked_again_replaces_its_answer() -> None:
    conversation = talked(("a", "b"), ("c", "d"))
    assert conversation.again() == "c"
    assert said(conversation) == [("user", "a"), ("assistant", "b")]


def test_a_question_without_an_answer_can_be_asked_again() -> None:
    conversation = talked(("a", "b"), ("c", ""))
    assert conversation.again() == "c"
    assert said(conversation) == [("user", "a"), ("assistant", "b")]


def test_nothing_can_be_asked_again_before_the_first_question() -> None:
    conversation = talked()
    assert conversation.again() is None
    conversation = talked(("a", "b"))
    conversation.forget()
    assert conversation.again() is None


def test_everything_but_the_beginning_is_forgotten() -> None:
    conversation = talked(("a", "b"), system="s")
    conversation.forget()
    assert said(conversation) == [("system", "s")]


def test_the_oldest_turns_are_dropped_to_make_room_for_an_answer() -> None:
    conversation = talked(*[(f"q{n}" * 50, f"a{n}" * 50) for n in range(9)], system="s")
    conversation.ask("now" * 30)
    dropped = conversation.shorten(too_long(1100, "at most 1023 tokens"), max_tokens=200)
    left = said(conversation)
    assert dropped == (9 - (len(left) - 2) // 2)
    assert left[0] == ("system", "s")
    assert left[1][1].startswith(f"q{dropped}")
    assert left[-1] == ("user", "now" * 30)
    share = sum(len(text) for _, text in left) / (1891)
    assert 0.5 < share <= 823 / 1100


def test_a_large_answer_gets_half_the_context_and_not_more() -> None:
    conversation = talked(*[("q" * 50, "a" * 50) for _ in range(10)])
    conversation.ask("x")
    assert conversation.shorten(too_long(1000, "at most 1000 tokens"), max_tokens=10**6) == 5 + 1


def test_at_least_one_turn_is_dropped() -> None:
    conversation = talked(("a", "b"), ("c" * 900, "d"))
    conversation.ask("x")
    assert conversation.shorten(too_long(1001, "at most 1000 tokens"), max_tokens=1) == 1


def test_a_question_that_alone_is_too_long_can_not_be_shortened() -> None:
    conversation = talked(system="s")
    conversation.ask("x" * 9000)
    assert conversation.shorten(too_long(9000, "at most 1000 tokens"), max_tokens=10) == 0
    assert said(conversation)[-1] == ("user", "x" * 9000)


@pytest.mark.parametrize(
    "errors", [None, [], "no", [7], [{}], [{"value": "9", "constraint": "at most"}]]
)
def test_without_numbers_half_of_the_conversation_is_dropped(errors: object) -> None:
    conversation = talked(*[("q" * 50, "a" * 50) for _ in range(10)])
    conversation.ask("x")
    assert conversation.shorten(PromptTooLong("no", errors=errors), max_tokens=10) in (5, 6, 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", False),
        ("", False),
        ('"""', True),
        ('"""a', True),
        ('"""a\nb', True),
        ('"""a\nb"""', False),
        ('""""""', False),
        ('  """a', True),
        ('say """a', False),
    ],
)
def test_three_quotes_open_a_text_and_three_close_it(text: str, expected: bool) -> None:
    assert is_open(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" a ", "a"),
        ('"""a\nb"""', "a\nb"),
        ('"""\na\n\nb\n"""\n', "a\n\nb"),
        ('"a"', '"a"'),
        ('""""""', ""),
    ],
)
def test_the_quotes_are_not_part_of_the_text(text: str, expected: str) -> None:
    assert content(text) == expected
