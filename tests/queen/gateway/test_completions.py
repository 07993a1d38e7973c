"""A task's events as the chunks of a text completion, and as one reply."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from openai.types import Completion as TheirCompletion

from rbee.contract.events import Accepted, Done, Event, LikelyToken, Token, TokenLogprob
from rbee.contract.openai import TextCompletion
from rbee.queen.gateway.openai.chunks import Head
from rbee.queen.gateway.openai.completions import TextStream, gathered

DONE = Done(True, 2, 12.0, 7, 3, 4.0, 250.0, "MAX_TOKENS")


def chunks(
    events: Sequence[tuple[int, Event]],
    choices: int = 1,
    total: int = 1,
    echoes: Sequence[str] = (),
    usage: bool = True,
) -> list[TextCompletion]:
    stream = TextStream(Head("cmpl-1", 1700000000, "big", choices), usage, total, echoes)
    return [chunk for index, event in events for chunk in stream.take(index, event)]


def whole_of(found: Sequence[TextCompletion]) -> TextCompletion:
    whole = gathered(found)
    TheirCompletion.model_validate(msgspec.json.decode(msgspec.json.encode(whole)), strict=True)
    return whole


def test_text_comes_as_it_is_made_and_the_reason_alone() -> None:
    found = chunks([(0, Accepted("r")), (0, Token("a", 0)), (0, Token("", 1)), (0, DONE)])
    told = [(each.text, each.finish_reason) for chunk in found for each in chunk.choices]
    assert told == [("a", None), ("", "length")]
    assert found[-1].choices == []
    assert found[-1].usage is not None
    assert chunks([(0, DONE)], usage=False)[-1].choices


def test_two_prompts_with_two_choices_each() -> None:
    events = [(at, event) for at in range(4) for event in (Token(str(at), 0), DONE)]
    whole = whole_of(chunks(events, choices=2, total=4, echoes=["p", "p", "q", "q"]))
    assert [(each.index, each.text) for each in whole.choices] == [
        (0, "p0"),
        (1, "p1"),
        (2, "q2"),
        (3, "q3"),
    ]
    assert {each.finish_reason for each in whole.choices} == {"length"}
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (14, 8)


def test_likelihoods_have_the_shape_of_completions() -> None:
    made = [
        TokenLogprob("ab", [97, 98], -0.5, [LikelyToken("ab", [97, 98], -0.5)]),
        TokenLogprob("c", [99], -1.5, [LikelyToken("x", [120], -0.25)]),
    ]
    events = [(0, Token("", 0, logprob=made[0])), (0, Token("abc", 1, logprob=made[1])), (0, DONE)]
    logprobs = whole_of(chunks(events)).choices[0].logprobs
    assert msgspec.to_builtins(logprobs) == {
        "tokens": ["ab", "c"],
        "token_logprobs": [-0.5, -1.5],
        "top_logprobs": [{"ab": -0.5}, {"x": -0.25}],
        "text_offset": [0, 2],
    }


def test_an_empty_answer_is_its_prompt_if_that_is_echoed() -> None:
    assert whole_of(chunks([(0, DONE)], echoes=["Once"])).choices[0].text == "Once"
