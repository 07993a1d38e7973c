"""Anthropic's routes over HTTP: streams, errors in its shape, and no body that breaks them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rbee.contract.config import ModelsSection
from rbee.contract.errors import (
    InvalidRequest,
    ModelNotFound,
    PromptTooLong,
    QueueFull,
    RbeeError,
    WorkerCrashed,
)
from rbee.contract.events import Accepted, Started, Token
from rbee.queen.gateway.anthropic import routes
from rbee.queen.gateway.openai import routes as openai
from rbee.queen.gateway.room import Room
from rbee.queen.nodes.catalog import KnownModel
from rbee.runtime import server
from rbee.runtime.lifecycle import Lifecycle
from tests.queen.gateway.conftest import ANSWER, FILE, Queen
from tests.queen.gateway.protocols import json_values

Client = TestClient[web.Request, web.Application]
HI = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
VERSION = {"anthropic-version": "2023-06-01"}
JSON = {"Content-Type": "application/json"}
FULL = QueueFull(slots_total=1, slots_busy=1, waiting=2)
CRASH = WorkerCrashed(worker_id="w", node="n", tokens=1, max_tokens=2, log_tail=[])
LONG = PromptTooLong(
    errors=[{"field": "prompt", "constraint": "at most 8191 tokens", "message": "", "value": 9025}]
)
STARTED = Started("r", FILE, "w", "n", 7)
MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"


def served(queen: Queen, models: ModelsSection, largest_body: int = 1 << 16) -> web.Application:
    app = server.application(Lifecycle("queen-rbee", None, None), largest_body)
    room = Room(queen, queen, models)
    openai.add(app, room)
    routes.add(app, room)
    return app


@pytest.fixture
async def client(queen: Queen) -> AsyncIterator[Client]:
    async with TestClient(TestServer(served(queen, ModelsSection()))) as found:
        yield found


def events_of(body: str) -> list[dict[str, Any]]:
    """The data of the events, each of which has the name that its data has as type."""
    assert body.endswith("\n\n")
    found = []
    for each in body.split("\n\n"):
        if each and not each.startswith(":"):
            name, data = each.split("\n")
            found.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {found[-1]['type']}"
    return found


def in_shape(body: Any) -> dict[str, Any]:
    assert set(body) == {"type", "error", "request_id"} and body["type"] == "error"
    error: dict[str, Any] = body["error"]
    assert set(error) == {"type", "message", "rbee"}
    assert set(error["rbee"]) == {"code", "details"}
    assert error["message"] and error["type"] and body["request_id"]
    return error


@pytest.mark.parametrize("path", [MESSAGES, f"{MESSAGES}?beta=true"])
async def test_a_reply_and_a_stream_say_the_same(client: Client, queen: Queen, path: str) -> None:
    queen.answers = [[Accepted("r"), STARTED, *ANSWER[1:]]]
    reply = await client.post(path, json={**HI, "model": "repo-q4_k_m"})
    assert (reply.status, reply.content_type) == (200, "application/json")
    whole = await reply.json()
    assert whole["content"] == [{"type": "text", "text": "Hello"}]
    assert (whole["model"], whole["stop_reason"]) == ("repo-q4_k_m", "end_turn")
    stream = await client.post(path, json={**HI, "stream": True})
    assert (stream.status, stream.content_type) == (200, "text/event-stream")
    events = events_of(await stream.text())
    assert [each["type"] for each in events] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0]["message"]["usage"]["input_tokens"] == 7
    assert events[0]["message"]["model"] == "bundled:smollm2-135m-instruct"
    assert stream.headers["request-id"] == stream.headers["X-Correlation-ID"]


async def test_tokens_are_counted_by_a_task(client: Client, queen: Queen) -> None:
    asked = {"messages": HI["messages"], "system": "Be kind", "model": "repo-q4_k_m"}
    reply = await client.post(COUNT, json=asked)
    assert await reply.json() == {"input_tokens": 42}
    [counted] = queen.asked
    assert counted.model == FILE
    assert [each.role for each in counted.messages or ()] == ["system", "user"]


async def test_models_are_listed_for_whoever_says_that_this_protocol_is_meant(
    client: Client, queen: Queen
) -> None:
    queen.models = [KnownModel(f"hf:a/b/{at}.gguf", "unloaded", 1700000000) for at in range(4)]
    names = [model.reference for model in queen.models] + ["tinyllama", "qwen-0.5b", "smollm2"]
    listed = await (await client.get("/v1/models", headers=VERSION)).json()
    assert [each["id"] for each in listed["data"]] == names
    assert listed["data"][0] == {
        "id": names[0],
        "type": "model",
        "display_name": names[0],
        "created_at": "2023-11-14T22:13:20Z",
        "lifecycle": "active",
    }
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (
        False,
        names[0],
        names[-1],
    )
    for query, wanted, more in [
        ({"limit": "2"}, names[:2], True),
        ({"limit": "2", "after_id": names[1]}, names[2:4], True),
        ({"after_id": names[4], "limit": "5"}, names[5:], False),
        ({"before_id": names[3], "limit": "2"}, names[1:3], True),
        ({"before_id": names[1]}, names[:1], False),
    ]:
        page = await (await client.get("/v1/models", params=query, headers=VERSION)).json()
        assert ([each["id"] for each in page["data"]], page["has_more"]) == (wanted, more), query
    wrong = await client.get("/v1/models", params={"limit": "0"}, headers=VERSION)
    assert wrong.status == 400 and "limit" in in_shape(await wrong.json())["message"]
    one = await (await client.get(f"/v1/models/{names[0]}", headers=VERSION)).json()
    assert (one["id"], one["type"]) == (names[0], "model")
    assert (await (await client.get("/v1/models")).json())["object"] == "list"


@pytest.mark.parametrize(
    ("error", "status", "kind", "words"),
    [
        (FULL, 503, "overloaded_error", "queue"),
        (ModelNotFound(model="m", near=[]), 404, "not_found_error", "m"),
        (CRASH, 502, "api_error", "w"),
        (LONG, 400, "invalid_request_error", "prompt is too long: 9025 tokens > 8191 maximum."),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_before_the_first_word_is_a_status(
    client: Client,
    queen: Queen,
    error: RbeeError,
    status: int,
    kind: str,
    words: str,
    stream: bool,
) -> None:
    queen.answers = [[Accepted("r"), error]]
    reply = await client.post(MESSAGES, json={**HI, "stream": stream})
    assert (reply.status, reply.content_type) == (status, "application/json")
    body = await reply.json()
    found = in_shape(body)
    assert found["type"] == kind and words in found["message"], found
    assert reply.headers["request-id"] == body["request_id"]
    assert ("Retry-After" in reply.headers) == (status == 503)


async def test_an_error_after_it_is_the_last_event(client: Client, queen: Queen) -> None:
    queen.answers = [[Accepted("r"), STARTED, Token("a", 0), CRASH]]
    reply = await client.post(MESSAGES, json={**HI, "stream": True})
    events = events_of(await reply.text())
    assert (reply.status, in_shape(events[-1])["type"]) == (200, "api_error")
    assert events[-2]["delta"] == {"type": "text_delta", "text": "a"}
    assert (await client.post(MESSAGES, json=HI)).status == 502


async def test_fields_are_named_as_the_protocol_does(client: Client, queen: Queen) -> None:
    wrong = {
        "field": "tools[0].function.parameters",
        "constraint": "c",
        "message": "No",
        "value": 1,
    }
    queen.answers = [[InvalidRequest(errors=[wrong])]]
    found = in_shape(await (await client.post(MESSAGES, json=HI)).json())
    assert found["message"].startswith("tools[0].input_schema: No.")


@pytest.mark.parametrize(
    ("send", "status", "kind"),
    [
        ({"data": b"{", "headers": JSON}, 400, "invalid_request_error"),
        ({"data": b"[]", "headers": JSON}, 400, "invalid_request_error"),
        ({"data": b"[" * 30000, "headers": JSON}, 400, "invalid_request_error"),
        ({"data": b"{}", "headers": {"Content-Type": "text/plain"}}, 415, "invalid_request_error"),
        ({"data": b" " * 70000, "headers": JSON}, 413, "request_too_large"),
        ({"json": {}, "headers": {"Origin": "http://evil.example"}}, 403, "permission_error"),
    ],
)
@pytest.mark.parametrize("path", [MESSAGES, COUNT])
async def test_what_is_refused_before_it_is_read_is_refused_in_shape(
    client: Client, path: str, send: dict[str, Any], status: int, kind: str
) -> None:
    reply = await client.post(path, **send)
    assert (reply.status, in_shape(await reply.json())["type"]) == (status, kind)
    wrong = await client.put(path, json={})
    assert wrong.status == 405
    in_shape(await wrong.json())


async def test_a_thread_is_refused_by_the_code_that_lets_a_client_go_on_without(
    client: Client,
) -> None:
    """The tool runners of Anthropic's packages send a thread, and after this all messages."""
    for thread in ({"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}):
        reply = await client.post(MESSAGES, json={**HI, "thread": thread})
        error = (await reply.json())["error"]
        assert (reply.status, error["type"]) == (400, "invalid_request_error")
        assert error["details"] == {"error_code": "thread_unsupported_request"}


async def test_the_shape_of_an_error_is_that_of_the_protocol_that_is_meant(client: Client) -> None:
    for path in ("/v1/messages/batches", "/v1/messages/batches/b"):
        reply = await client.post(path, json={})
        assert (reply.status, in_shape(await reply.json())["type"]) == (404, "not_found_error")
    for path in ("/v1/files", "/v1/models/no/such:model", "/v1/chat/nothing"):
        reply = await client.get(path, headers=VERSION)
        assert (reply.status, in_shape(await reply.json())["type"]) == (404, "not_found_error")
        assert "request_id" not in await (await client.get(path)).json()


# No body breaks them

blocks = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "tool_use", "tool_result", "document", "thinking", "x"])},
    optional={
        "text": st.text(max_size=4),
        "content": st.none()
        | st.text(max_size=4)
        | st.lists(st.integers() | st.just({"type": "text"})),
        "source": st.none() | st.text(max_size=3) | st.just({"type": "content", "content": [1]}),
        "id": st.text(max_size=3),
        "name": st.just("f"),
        "input": st.none() | st.just({"a": 1}),
        "tool_use_id": st.text(max_size=3),
        "signature": st.text(max_size=9),
    },
)
turns = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "system"]),
        "content": st.text(max_size=4) | st.lists(blocks, max_size=3),
    }
)
NAMES = [
    "messages",
    "model",
    "max_tokens",
    "system",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "stream",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "keep_alive",
]
bodies = json_values | st.dictionaries(st.sampled_from(NAMES), json_values, max_size=4)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from([MESSAGES, COUNT]),
    body=bodies,
    messages=st.none() | st.lists(turns, min_size=1, max_size=4),
)
def test_no_body_breaks_them(path: str, body: Any, messages: Any) -> None:
    if messages is not None and isinstance(body, dict):
        body = {**HI, **body, "messages": messages}
    status, kind, text = asyncio.run(_asked(path, body))
    if status == 200 and kind == "text/event-stream":
        assert events_of(text)[-1]["type"] == "message_stop"
    elif status == 200:
        json.loads(text)
    else:
        assert status in (400, 404), text
        in_shape(json.loads(text))


async def _asked(path: str, body: Any) -> tuple[int, str, str]:
    async with TestClient(TestServer(served(Queen(), ModelsSection(), 1 << 20))) as client:
        reply = await client.post(path, json=body)
        return reply.status, reply.content_type, await reply.text()
