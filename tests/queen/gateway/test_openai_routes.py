"""OpenAI's routes over HTTP: streams, errors in its shape, and no body that breaks them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rbee.contract.config import ModelsSection
from rbee.contract.errors import ModelNotFound, PromptTooLong, QueueFull, WorkerCrashed
from rbee.contract.events import Accepted
from rbee.queen.gateway.openai import routes
from rbee.queen.gateway.room import Room
from rbee.queen.nodes.catalog import KnownModel
from rbee.runtime import server
from rbee.runtime.lifecycle import Lifecycle
from tests.queen.gateway.conftest import FILE, Queen
from tests.queen.gateway.protocols import json_values

Client = TestClient[web.Request, web.Application]
HI = {"messages": [{"role": "user", "content": "Hi"}]}
FULL = QueueFull(slots_total=1, slots_busy=1, waiting=2)
CRASH = WorkerCrashed(worker_id="w", node="n", tokens=1, max_tokens=2, log_tail=[])
NOBODY = ModelNotFound(model="m", near=[])
LONG = PromptTooLong(errors=[{"field": "prompt", "constraint": "", "message": "", "value": 1}])
POSTS = ["chat/completions", "completions", "embeddings", "rerank"]


@pytest.fixture
async def client(room: Room) -> AsyncIterator[Client]:
    app = server.application(Lifecycle("queen-rbee", None, None), largest_body=1 << 16)
    routes.add(app, room)
    async with TestClient(TestServer(app)) as found:
        yield found


def events_of(body: str) -> list[Any]:
    assert body.endswith("\n\n")
    lines = [line for line in body.split("\n\n") if line and not line.startswith(":")]
    assert all(line.startswith("data: ") for line in lines), lines
    found = [line.removeprefix("data: ") for line in lines]
    return [each if each == "[DONE]" else json.loads(each) for each in found]


def in_shape(body: Any) -> dict[str, Any]:
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code", "rbee"}
    assert set(error["rbee"]) == {"code", "details"}
    assert error["message"] and error["type"] and error["code"]
    return error


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
async def test_a_reply_and_a_stream_say_the_same(client: Client, path: str) -> None:
    reply = await client.post(path, json=HI)
    assert (reply.status, reply.content_type) == (200, "application/json")
    assert (await reply.json())["choices"][0]["message"]["content"] == "Hello"
    asked = {**HI, "stream": True, "stream_options": {"include_usage": True}}
    stream = await client.post(path, json=asked)
    assert (stream.status, stream.content_type) == (200, "text/event-stream")
    *chunks, last = events_of(await stream.text())
    assert last == "[DONE]"
    said = [each["delta"].get("content") for chunk in chunks for each in chunk["choices"]]
    assert said == ["Hel", "lo", None]
    assert chunks[-1]["usage"]["total_tokens"] == 9


async def test_completions_repeat_their_prompts_if_asked(client: Client) -> None:
    asked = {"prompt": ["a", "b"], "n": 2, "echo": True}
    reply = await (await client.post("/v1/completions", json=asked)).json()
    assert [each["text"] for each in reply["choices"]] == ["aHello", "aHello", "bHello", "bHello"]
    stream = await client.post("/completions", json={"prompt": "a", "stream": True})
    chunks = events_of(await stream.text())
    assert "".join(each["choices"][0]["text"] for each in chunks[:-1]) == "Hello"


async def test_the_model_is_told_by_the_name_that_was_used(client: Client, queen: Queen) -> None:
    for path, asked in [
        ("/v1/chat/completions", HI),
        ("/v1/completions", {"prompt": "a"}),
        ("/v1/embeddings", {"input": "a"}),
        ("/embeddings", {"input": "a"}),
        ("/v1/rerank", {"query": "a", "documents": ["b"]}),
        ("/rerank", {"query": "a", "documents": ["b"]}),
    ]:
        reply = await (await client.post(path, json={**asked, "model": "repo-q4_k_m"})).json()
        assert reply["model"] == "repo-q4_k_m"
        reply = await (await client.post(path, json=asked)).json()
        assert reply["model"] == "bundled:smollm2-135m-instruct"
    assert {each.model for each in queen.asked[::2] + queen.wanted[::2]} == {FILE}


async def test_models_in_a_list_and_one_by_one(client: Client, queen: Queen) -> None:
    for path in ("/v1/models", "/models"):
        listed = await (await client.get(path)).json()
        assert listed["object"] == "list"
        assert listed["data"][0] == {
            "id": FILE,
            "object": "model",
            "created": 1700000000,
            "owned_by": "Owner",
            "status": {"value": "loaded"},
        }
    for name in (FILE, FILE.replace("/", "%2F"), "repo-q4_k_m:latest"):
        url = str(client.make_url("/v1/models/")) + name
        async with aiohttp.ClientSession() as session, session.get(url) as one:
            assert (await one.json())["id"] == FILE
    queen.read_models = [KnownModel("hf:a/new/late.gguf", "unloaded")]
    late = await client.get("/v1/models/late")  # known as soon as the nodes are asked once more
    assert (await late.json())["id"] == "hf:a/new/late.gguf"
    missing = await client.get("/v1/models/no/such:model")
    assert missing.status == 404
    assert in_shape(await missing.json())["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("error", "status", "code", "kind", "param"),
    [
        (FULL, 503, "queue_full", "server_error", None),
        (
            ModelNotFound(model="m", near=[]),
            404,
            "model_not_found",
            "invalid_request_error",
            "model",
        ),
        (CRASH, 502, "worker_crashed", "server_error", None),
        (LONG, 400, "context_length_exceeded", "invalid_request_error", "messages"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_before_the_first_word_is_a_status(
    client: Client,
    queen: Queen,
    error: Exception,
    status: int,
    code: str,
    kind: str,
    param: str | None,
    stream: bool,
) -> None:
    queen.answers = [[Accepted("r"), error]]
    reply = await client.post("/v1/chat/completions", json={**HI, "stream": stream})
    assert (reply.status, reply.content_type) == (status, "application/json")
    found = in_shape(await reply.json())
    assert (found["code"], found["type"], found["param"]) == (code, kind, param)
    assert ("Retry-After" in reply.headers) == (status == 503)


@pytest.mark.parametrize(
    ("send", "status"),
    [
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": b"[]", "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": b"\xff\xfe", "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": b"[" * 30000, "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": b"{}", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"data": b" " * 70000, "headers": {"Content-Type": "application/json"}}, 413),
        ({"json": {}, "headers": {"Origin": "http://evil.example"}}, 403),
        ({"json": {}, "headers": {"Host": "evil.example"}}, 403),
    ],
)
@pytest.mark.parametrize("path", POSTS)
async def test_what_is_refused_before_it_is_read_is_refused_in_shape(
    client: Client, path: str, send: dict[str, Any], status: int
) -> None:
    for prefix in ("/v1/", "/"):
        reply = await client.post(prefix + path, **send)
        assert reply.status == status
        in_shape(await reply.json())
        wrong = await client.put(prefix + path, json={})
        assert wrong.status == 405
        in_shape(await wrong.json())


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/v1/models/", 404, None),
        ("POST", "/v1/images", 404, None),
        ("GET", "/v1/", 404, None),
        ("DELETE", "/v1/models/m", 405, "GET,HEAD"),
        ("GET", "/v1/chat/completions", 405, "POST"),
    ],
)
async def test_what_is_not_there_is_told_in_shape(
    client: Client, method: str, path: str, status: int, allowed: str | None
) -> None:
    reply = await client.request(method, path, json={})
    assert (reply.status, reply.headers.get("Allow")) == (status, allowed)
    assert in_shape(await reply.json())["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/v2/nothing", "/nothing", "/v1/auth/proof", "/v1"])
async def test_what_is_not_of_the_protocol_is_told_our_way(client: Client, path: str) -> None:
    error = (await (await client.post(path, json={})).json())["error"]
    assert set(error) == {"code", "message", "details"}


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/v1/models/smollm2"])
async def test_head_is_get_without_a_body(client: Client, path: str) -> None:
    head, get = await client.head(path), await client.get(path)
    assert (head.status, await head.read()) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


# No body breaks them

NAMES = [
    "messages",
    "prompt",
    "input",
    "query",
    "documents",
    "model",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "n",
    "stop",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "response_format",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "seed",
    "echo",
    "suffix",
    "best_of",
    "encoding_format",
    "dimensions",
    "top_n",
    "reasoning_effort",
    "chat_template_kwargs",
    "keep_alive",
    "grammar",
]
GOOD = {
    "chat/completions": HI,
    "completions": {"prompt": "a"},
    "embeddings": {"input": "a"},
    "rerank": {"query": "a", "documents": ["b"]},
}
bodies = json_values | st.dictionaries(st.sampled_from(NAMES), json_values, max_size=4)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(POSTS), body=bodies, good=st.booleans())
def test_no_body_breaks_them(path: str, body: Any, good: bool) -> None:
    if good and isinstance(body, dict):
        body = {**GOOD[path], **body}
    status, kind, text = asyncio.run(_asked(path, body))
    if status == 200 and kind == "text/event-stream":
        assert events_of(text)[-1] == "[DONE]"
    elif status == 200:
        json.loads(text)
    else:
        assert status in (400, 404), text
        error = in_shape(json.loads(text))
        assert error["type"] == "invalid_request_error"


async def _asked(path: str, body: Any) -> tuple[int, str, str]:
    queen = Queen()
    app = server.application(Lifecycle("queen-rbee", None, None))
    routes.add(app, Room(queen, queen, ModelsSection()))
    async with TestClient(TestServer(app)) as client:
        reply = await client.post(f"/v1/{path}", json=body)
        return reply.status, reply.content_type, await reply.text()
