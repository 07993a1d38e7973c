"""A task's events as Anthropic's: each block opened, filled and closed in order, and one reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from rbee.contract.anthropic import AnthropicEvent
from rbee.contract.events import Accepted, Call, Done, Event, Prefill, Started, StopReason, Token
from rbee.queen.gateway.anthropic import signature
from rbee.queen.gateway.anthropic.messages import Head, MessageStream, gathered

HEAD = Head("msg_0123456789abcdef", "m", frozenset({"##"}))
STARTED = Started("r", "m", "w", "n", 7)


def done(reason: StopReason = "EOS", tokens: int = 2, stop: str | None = None) -> Done:
    return Done(True, tokens, 12.0, 7, 3, 4.0, 250.0, reason, stop)


def stream(events: Sequence[Event], head: Head = HEAD) -> list[AnthropicEvent]:
    found = MessageStream(head)
    return [each for event in events for each in found.take(event)]


def short(events: Sequence[AnthropicEvent]) -> list[Any]:
    return [msgspec.to_builtins(each) for each in events]


def content(events: Sequence[Event], head: Head = HEAD) -> Any:
    return msgspec.to_builtins(gathered(stream(events, head)))["content"]


def test_a_text_is_a_message_with_one_block() -> None:
    tokens = Token("Hel", 0), Token("", 1), Token("lo", 2)
    events: list[Event] = [Accepted("r"), STARTED, Prefill(3, 7, 0), *tokens, done()]
    usage = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    usage |= {"output_tokens_details": {"thinking_tokens": 0}}
    first, ping, *rest = short(stream(events))
    assert first == {
        "type": "message_start",
        "message": {
            "id": HEAD.id, "type": "message", "role": "assistant", "model": "m", "content": [],
            "stop_reason": None, "stop_sequence": None,
            "usage": {"input_tokens": 7, "output_tokens": 0, **usage},
        },
    }  # fmt: skip
    assert ping == {"type": "ping"}
    assert rest == [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"input_tokens": 4, "output_tokens": 2, **usage, "cache_read_input_tokens": 3},
        },
        {"type": "message_stop"},
    ]
    reply = gathered(stream(events))
    assert msgspec.to_builtins(reply.content) == [{"type": "text", "text": "Hello"}]
    assert (reply.stop_reason, reply.usage.input_tokens) == ("end_turn", 4)


@pytest.mark.parametrize(
    ("reason", "stop", "wanted"),
    [
        ("EOS", None, ("end_turn", None)),
        ("MAX_TOKENS", None, ("max_tokens", None)),
        ("CONTEXT_FULL", None, ("model_context_window_exceeded", None)),
        ("TOOL_CALLS", None, ("tool_use", None)),
        ("STOP_SEQUENCE", "##", ("stop_sequence", "##")),
        ("STOP_SEQUENCE", "<|of the template|>", ("end_turn", None)),
    ],
)
def test_why_it_stopped_and_at_which_sequence(
    reason: StopReason, stop: str | None, wanted: tuple[str, str | None]
) -> None:
    reply = gathered(stream([STARTED, Token("a", 0), done(reason, stop=stop)]))
    assert (reply.stop_reason, reply.stop_sequence) == wanted


THOUGHT: list[Event] = [
    STARTED,
    Token("h", 0, "reasoning"),
    Token("m", 1, "reasoning"),
    Token("Yes", 2),
    done(tokens=3),
]


def test_reasoning_is_a_block_with_a_signature() -> None:
    events = stream(THOUGHT)
    kinds = [
        each["delta"]["type"] for each in short(events) if each["type"].endswith("block_delta")
    ]
    assert kinds == ["thinking_delta", "thinking_delta", "signature_delta", "text_delta"]
    assert [each.index for each in events if each.type == "content_block_stop"] == [0, 1]
    signed = signature.of("hm", shown=True)
    assert content(THOUGHT) == [
        {"type": "thinking", "thinking": "hm", "signature": signed},
        {"type": "text", "text": "Yes"},
    ]
    assert gathered(events).usage.output_tokens_details.thinking_tokens == 2


def test_reasoning_that_is_omitted_is_in_the_signature_alone() -> None:
    omitted = msgspec.structs.replace(HEAD, thinking="omitted")
    signed = signature.of("hm", shown=False)
    assert content(THOUGHT, omitted)[0] == {"type": "thinking", "thinking": "", "signature": signed}
    assert signature.thinking_in(signed) == "hm"
    deltas = [each["delta"] for each in short(stream(THOUGHT, omitted)) if "delta" in each]
    kinds = [delta.get("type") for delta in deltas][:2]
    assert kinds == ["signature_delta", "text_delta"]


def test_reasoning_that_was_not_asked_for_is_only_counted() -> None:
    none = msgspec.structs.replace(HEAD, thinking="none")
    assert content(THOUGHT, none) == [{"type": "text", "text": "Yes"}]
    assert gathered(stream(THOUGHT, none)).usage.output_tokens_details.thinking_tokens == 2


def test_each_call_is_a_block_of_its_own() -> None:
    events: list[Event] = [
        STARTED,
        Token("Look", 0),
        Token("", 1, "tool_call", Call(0, "c0", "is_day")),
        Token('{"here": ', 2, "tool_call", Call(0)),
        Token("true}", 3, "tool_call", Call(0)),
        Token("", 4, "tool_call", Call(1, None, "is_night")),
        done("TOOL_CALLS"),
    ]
    found = stream(events)
    assert [each.index for each in found if each.type == "content_block_start"] == [0, 1, 2]
    assert [each.index for each in found if each.type == "content_block_stop"] == [0, 1, 2]
    parts = [each["delta"].get("partial_json") for each in short(found) if "delta" in each]
    assert [part for part in parts if part] == ['{"here": ', "true}"]
    assert content(events)[1:] == [
        {"type": "tool_use", "id": "c0", "name": "is_day", "input": {"here": True}},
        {"type": "tool_use", "id": "toolu_0123456789abcdef_1", "name": "is_night", "input": {}},
    ]


@pytest.mark.parametrize("written", ['{"here": tr', "[1]", "x"])
def test_arguments_that_are_no_object_are_told_as_they_are(written: str) -> None:
    events = [STARTED, Token(written, 0, "tool_call", Call(0, "c", "f")), done("MAX_TOKENS")]
    assert content(events)[0]["input"] == {"unreadable_arguments": written}


def test_a_prompt_that_is_only_read_is_answered_with_nothing() -> None:
    silent = msgspec.structs.replace(HEAD, silent=True)
    reply = gathered(stream([STARTED, Token("a", 0), done("EOS", 1)], silent))
    assert (reply.content, reply.stop_reason, reply.usage.output_tokens) == ([], "max_tokens", 0)


def test_a_message_begins_once_whatever_becomes_of_the_first_worker() -> None:
    events = stream([STARTED, STARTED, Token("a", 0), done()])
    assert [each.type for each in events].count("message_start") == 1
    assert stream([done()])[0].type == "message_start"
