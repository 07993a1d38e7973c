"""A task's events as OpenAI's chunks, and as one reply."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion as TheirCompletion
from openai.types.chat import ChatCompletionChunk as TheirChunk

from rbee.contract.events import (
    Accepted,
    Call,
    Channel,
    Done,
    Event,
    LikelyToken,
    Narration,
    Prefill,
    Started,
    StopReason,
    Token,
    TokenLogprob,
)
from rbee.contract.openai import ChatChunk
from rbee.queen.gateway.openai.chat import ChatStream, gathered
from rbee.queen.gateway.openai.chunks import Head

HEAD = Head("chatcmpl-1", 1700000000, "big")


def done(reason: StopReason = "EOS", tokens: int = 2) -> Done:
    return Done(True, tokens, 12.0, 7, 3, 4.0, 250.0, reason)


def chunks(
    events: Sequence[Event | tuple[int, Event]], usage: bool = True, choices: int = 1
) -> list[ChatChunk]:
    stream = ChatStream(Head(HEAD.id, HEAD.created, HEAD.model, choices), usage)
    placed = [each if isinstance(each, tuple) else (0, each) for each in events]
    return [chunk for index, event in placed for chunk in stream.take(index, event)]


def wire(chunk: ChatChunk) -> dict[str, object]:
    found: dict[str, object] = msgspec.json.decode(msgspec.json.encode(chunk))
    return found


def test_what_is_not_an_answer_says_nothing() -> None:
    quiet = [Accepted("r"), Narration("a", "b", "c"), Started("r", "m", "w", "n"), Prefill(1, 9, 0)]
    assert chunks([*quiet, Token("", 0)]) == []


def test_an_answer_has_one_head_the_role_first_and_the_reason_alone() -> None:
    found = [
        wire(chunk) for chunk in chunks([Token("Hel", 0), Token("", 1), Token("lo", 2), done()])
    ]
    assert {(each["id"], each["created"], each["model"]) for each in found} == {
        ("chatcmpl-1", 1700000000, "big")
    }
    assert [each["choices"] for each in found] == [
        [choice({"role": "assistant", "content": "Hel"})],
        [choice({"content": "lo"})],
        [choice({}, "stop")],
        [],
    ]
    assert "usage" not in found[2]
    assert found[3]["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    assert (
        found[2]["timings"]
        == found[3]["timings"]
        == {
            "cache_n": 3,
            "prompt_n": 4,
            "prompt_ms": 4.0,
            "prompt_per_second": 1000.0,
            "predicted_n": 2,
            "predicted_ms": 8.0,
            "predicted_per_second": 250.0,
        }
    )


def choice(delta: dict[str, object], reason: str | None = None, index: int = 0) -> object:
    return {"index": index, "delta": delta, "finish_reason": reason, "logprobs": None}


def test_without_being_asked_the_last_chunk_is_the_reason() -> None:
    *_, last = chunks([Token("a", 0), done()], usage=False)
    assert (last.choices[0].finish_reason, last.usage) == ("stop", None)


def test_an_empty_answer_has_a_role_and_empty_content() -> None:
    found = chunks([done(tokens=0)])
    assert [wire(chunk)["choices"] for chunk in found[:2]] == [
        [choice({"role": "assistant"})],
        [choice({}, "stop")],
    ]
    assert gathered(found).choices[0].message.content == ""


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("EOS", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTEXT_FULL", "length"),
        ("TOOL_CALLS", "tool_calls"),
    ],
)
def test_how_it_ends(reason: StopReason, finish: str) -> None:
    assert gathered(chunks([done(reason)])).choices[0].finish_reason == finish


CALLS = [
    Token("Hm", 0, "reasoning"),
    Token("", 1, "tool_call", Call(0, "c-0", "add")),
    Token("{", 2, "tool_call", Call(0)),
    Token("", 3, "tool_call", Call(0)),
    Token("}", 4, "tool_call", Call(0)),
    Token("{}", 5, "tool_call", Call(1, None, "sub")),
    done("TOOL_CALLS"),
]


def test_a_call_opens_with_its_name_and_goes_on_with_its_arguments() -> None:
    found = [wire(chunk)["choices"] for chunk in chunks(CALLS)]
    second = {"index": 1, "id": f"call_{HEAD.id[-8:]}_0_1", "type": "function"}
    assert found == [
        [choice({"role": "assistant", "reasoning_content": "Hm"})],
        [
            choice(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "function": {"arguments": "", "name": "add"},
                            "id": "c-0",
                            "type": "function",
                        }
                    ]
                }
            )
        ],
        [choice({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]})],
        [choice({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]})],
        [
            choice(
                {
                    "tool_calls": [
                        {
                            **second,
                            "function": {"arguments": "{}", "name": "sub"},
                            "type": "function",
                        }
                    ]
                }
            )
        ],
        [choice({}, "tool_calls")],
        [],
    ]


def test_calls_are_gathered_without_content() -> None:
    [found] = gathered(chunks(CALLS)).choices
    assert found.message.content is None
    assert found.message.reasoning_content == "Hm"
    assert found.message.tool_calls is not None
    assert [
        (call.id, call.function.name, call.function.arguments) for call in found.message.tool_calls
    ] == [("c-0", "add", "{}"), (f"call_{HEAD.id[-8:]}_0_1", "sub", "{}")]


def likely(text: str) -> TokenLogprob:
    return TokenLogprob(text, list(text.encode()), -0.5, [LikelyToken("x", [120], -0.25)])


def test_likelihoods_come_with_the_text_that_they_made() -> None:
    events = [
        Token("Hm", 0, "reasoning", logprob=likely("Hm")),
        Token("", 1, logprob=likely("a")),
        Token("ab", 2, logprob=likely("b")),
        Token("", 3, logprob=likely("c")),
        done(),
    ]
    found = chunks(events)
    told = [
        None
        if each.choices[0].logprobs is None
        else [of.token for of in each.choices[0].logprobs.content]
        for each in found[:-1]
    ]
    assert told == [None, ["a", "b"], ["c"], None]
    whole = gathered(found).choices[0].logprobs
    assert whole is not None
    assert [each.token for each in whole.content] == ["a", "b", "c"]
    assert wire(found[1])["choices"][0]["logprobs"]["content"][0] == {  # type: ignore[index]
        "token": "a",
        "logprob": -0.5,
        "bytes": [97],
        "top_logprobs": [{"token": "x", "logprob": -0.25, "bytes": [120]}],
    }


def test_choices_are_kept_apart_and_the_prompt_is_counted_once() -> None:
    events = [(1, Token("b", 0)), (0, Token("a", 0)), (1, done(tokens=5)), (0, done())]
    found = chunks(events, choices=2)
    assert [wire(chunk)["choices"] for chunk in found] == [
        [choice({"role": "assistant", "content": "b"}, index=1)],
        [choice({"role": "assistant", "content": "a"})],
        [choice({}, "stop", 1)],
        [choice({}, "stop")],
        [],
    ]
    whole = gathered(found)
    assert [(each.index, each.message.content) for each in whole.choices] == [(0, "a"), (1, "b")]
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (7, 7)
    assert whole.timings.predicted_n == 2


channels: st.SearchStrategy[Channel] = st.sampled_from(["text", "reasoning", "tool_call"])


@st.composite
def events_of_an_answer(draw: st.DrawFn) -> list[Event]:
    found: list[Event] = []
    call = -1
    for index, channel in enumerate(draw(st.lists(channels, max_size=12))):
        text = draw(st.text(max_size=3))
        logprob = likely(text) if draw(st.booleans()) else None
        opened = channel == "tool_call" and (call < 0 or draw(st.booleans()))
        call += opened
        told = None
        if channel == "tool_call":
            told = Call(call, f"c-{call}", "add") if opened else Call(call)
        found.append(Token(text, index, channel, told, logprob))
    reason: StopReason = draw(st.sampled_from(["EOS", "MAX_TOKENS", "TOOL_CALLS"]))
    return [*found, done(reason, len(found))]


@given(events_of_an_answer())
def test_any_answer_is_what_their_own_types_take(events: list[Event]) -> None:
    found = chunks(events)
    for chunk in found:
        TheirChunk.model_validate(wire(chunk), strict=True)
        for each in chunk.choices:
            assert each.delta.content != "" and each.delta.reasoning_content != ""
    assert found[0].choices[0].delta.role == "assistant"
    assert all(each.delta.role is None for chunk in found[1:] for each in chunk.choices)
    whole = gathered(found)
    TheirCompletion.model_validate(msgspec.json.decode(msgspec.json.encode(whole)), strict=True)
    text = "".join(
        each.token for each in events if isinstance(each, Token) and each.channel == "text"
    )
    assert (whole.choices[0].message.content or "") == text
