"""A task's events as those of a response, each of the package's own type and in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response as TheirResponse
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from harness.watching.responses_package import disorder
from rbee.contract.errors import QueueFull, TooManyRequests, WorkerCrashed
from rbee.contract.events import (
    Accepted,
    Call,
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
from rbee.contract.responses import ResponsesRequest
from rbee.contract.tasks import TaskRequest
from rbee.contract.validation import decode
from rbee.queen.gateway.responses.asked import response_task
from rbee.queen.gateway.responses.failure import failed
from rbee.queen.gateway.responses.head import begun
from rbee.queen.gateway.responses.stream import ResponseStream
from rbee.queen.gateway.responses.tools import Tools

STARTED = Started("r", "m", "w", "n")
SPACE = {
    "type": "namespace",
    "name": "s",
    "description": "d",
    "tools": [{"type": "function", "name": "find"}],
}
_THEIRS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def done(reason: StopReason = "EOS", tokens: int = 2) -> Done:
    return Done(True, tokens, 12.0, 7, 3, 4.0, 250.0, reason)


def new_stream(**fields: Any) -> ResponseStream:
    asked = decode(msgspec.json.encode({"input": "Hi", **fields}), ResponsesRequest)
    tools = Tools(asked.tools or ())
    task: TaskRequest = response_task(asked, "m", tools)
    return ResponseStream(begun("resp_1", 1700000000, asked, task, tools), tools)


def wire(events: Sequence[Event], **fields: Any) -> list[dict[str, Any]]:
    """The stream's events, each checked with the package's type."""
    stream = new_stream(**fields)
    found = [msgspec.to_builtins(each) for event in events for each in stream.take(event)]
    for each in found:
        _THEIRS.validate_python(each, strict=True)
    return found


def kinds(events: Sequence[dict[str, Any]]) -> list[str]:
    return [each["type"].removeprefix("response.") for each in events]


def items(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = events[-1]["response"]["output"]
    return found


def test_it_begins_when_a_worker_has_the_request() -> None:
    quiet = [Accepted("r"), Narration("a", "b", "c"), Prefill(1, 9, 0)]
    assert wire(quiet) == []
    assert kinds(wire([*quiet, STARTED, Prefill(1, 9, 0)])) == ["created", "in_progress"]


def test_a_text() -> None:
    found = wire([STARTED, Token("Hel", 0), Token("", 1), Token("lo", 2), done(tokens=3)])
    assert kinds(found) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert disorder(found) == ""
    assert items(found) == [
        {
            "id": "msg_1_0",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
            ],
        }
    ]
    assert found[-1]["response"]["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 10,
    }


def test_what_is_cut_is_incomplete() -> None:
    for reason in ("MAX_TOKENS", "CONTEXT_FULL"):
        found = wire([Token("Hel", 0), done(reason)])
        response = found[-1]["response"]
        assert kinds(found)[-1] == response["status"] == "incomplete"
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}
        assert response["completed_at"] is None
        assert response["output"][0]["status"] == "incomplete"


def test_reasoning_text_and_calls_are_items_one_after_the_other() -> None:
    found = wire(
        [
            STARTED,
            Token("hm", 0, "reasoning"),
            Token("", 1, "reasoning"),
            Token("so", 2, "reasoning"),
            Token("", 3),
            Token("See", 3),
            Token("", 4, "tool_call", Call(0, "c1", "find")),
            Token("{}", 5, "tool_call", Call(0)),
            Token("", 6, "tool_call", Call(1, None, "add")),
            Token("{", 7, "tool_call", Call(1)),
            done("TOOL_CALLS", 8),
        ],
        tools=[SPACE],
    )
    assert disorder(found) == ""
    reasoning, message, first, second = items(found)
    assert reasoning == {
        "id": "rs_1_0",
        "type": "reasoning",
        "status": "completed",
        "content": [{"type": "reasoning_text", "text": "hmso"}],
        "summary": [],
        "encrypted_content": None,
    }
    assert message["content"][0]["text"] == "See"
    assert first == {
        "id": "fc_1_2",
        "type": "function_call",
        "status": "completed",
        "call_id": "c1",
        "name": "find",
        "namespace": "s",
        "arguments": "{}",
    }
    assert (second["call_id"], second["name"], second["namespace"], second["arguments"]) == (
        "call_1_1",
        "add",
        None,
        "{",
    )
    assert found[-1]["response"]["usage"]["output_tokens_details"] == {"reasoning_tokens": 3}


def test_an_answer_without_a_word_is_an_empty_message() -> None:
    found = wire([STARTED, Token("", 0), done(tokens=1)])
    assert disorder(found) == ""
    assert [each["content"][0]["text"] for each in items(found)] == [""]


def test_likelihoods_come_with_the_text_that_they_are_of() -> None:
    def likely(token: str) -> TokenLogprob:
        return TokenLogprob(token, [1], -0.5, [LikelyToken(token, [1], -0.5)])

    tokens = [Token("", 0, logprob=likely("a")), Token("ab", 1, logprob=likely("b"))]
    found = wire([*tokens, Token("", 2, logprob=likely("c")), done(tokens=3)])
    delta = next(each for each in found if each["type"].endswith("delta"))
    assert [each["token"] for each in delta["logprobs"]] == ["a", "b"]
    inside = items(found)[0]["content"][0]["logprobs"]
    assert [each["token"] for each in inside] == ["a", "b", "c"]
    assert inside[0]["top_logprobs"] == [{"token": "a", "bytes": [1], "logprob": -0.5}]
    assert disorder(found) == ""


def test_a_failure_keeps_what_was_said() -> None:
    crash = WorkerCrashed(worker_id="w", node="n", tokens=1, max_tokens=2, log_tail=[])
    stream = new_stream()
    before = [each for event in (STARTED, Token("a", 0)) for each in stream.take(event)]
    [last] = failed(stream, crash)
    found = msgspec.to_builtins(last)
    _THEIRS.validate_python(found, strict=True)
    response = found["response"]
    assert (found["sequence_number"], found["type"]) == (len(before), "response.failed")
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    assert response["error"]["rbee"]["code"] == "WORKER_CRASHED"
    assert response["output"][0]["content"][0]["text"] == "a"


def test_a_stream_that_fails_before_its_first_word_begins_first() -> None:
    full = QueueFull(slots_total=1, slots_busy=1, waiting=2)
    assert [each.type for each in failed(new_stream(), full)] == [
        "response.created",
        "response.in_progress",
        "response.failed",
    ]
    *_, last = failed(new_stream(), TooManyRequests(key="k", limit=1))
    assert last.response is not None and last.response.error is not None
    assert last.response.error.code == "rate_limit_exceeded"


def test_the_reply_repeats_the_request() -> None:
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    stream = new_stream(
        model="big",
        instructions="i",
        max_output_tokens=5,
        temperature=0,
        top_p=0,
        top_logprobs=1,
        tools=[SPACE, {"type": "web_search"}],
        tool_choice={
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "namespace", "name": "s"}],
        },
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": schema, "verbosity": "low"},
        metadata={"a": "b"},
        user="u",
        prompt_cache_key="k",
        safety_identifier="s",
        max_tool_calls=3,
        truncation="auto",
        store=True,
    )
    head = msgspec.to_builtins(stream.response)
    TheirResponse.model_validate(head, strict=True)
    tool = {
        "type": "function",
        "name": "find",
        "description": None,
        "parameters": {},
        "strict": None,
    }
    assert head == {
        "id": "resp_1",
        "object": "response",
        "created_at": 1700000000,
        "status": "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": "i",
        "max_output_tokens": 5,
        "max_tool_calls": 3,
        "model": "big",
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "conversation": None,
        "prompt": None,
        "background": False,
        "store": False,
        "reasoning": {"effort": "low", "summary": None},
        "temperature": 0.0,
        "top_p": 0.0,
        "top_logprobs": 1,
        "text": {"format": {**schema, "description": None, "strict": None}, "verbosity": "low"},
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "namespace", "name": "s"}],
        },
        "tools": [{"type": "namespace", "name": "s", "description": "d", "tools": [tool]}],
        "truncation": "disabled",
        "service_tier": "default",
        "usage": None,
        "user": "u",
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "metadata": {"a": "b"},
    }


texts = st.tuples(st.sampled_from(["text", "reasoning"]), st.sampled_from(["", "a", "b "]))
calls = st.integers(0, 2)


@given(st.lists(texts | calls, max_size=12), st.sampled_from(["EOS", "MAX_TOKENS"]))
def test_any_answer_is_in_order(parts: list[Any], reason: StopReason) -> None:
    tokens = []
    for index, part in enumerate(parts):
        if isinstance(part, int):
            tokens.append(Token("", index, "tool_call", Call(index, f"c{index}", "f")))
            tokens += [Token("{", index, "tool_call", Call(index))] * part
        else:
            tokens.append(Token(part[1], index, part[0]))
    assert disorder(wire([STARTED, *tokens, done(reason, len(parts))])) == ""
