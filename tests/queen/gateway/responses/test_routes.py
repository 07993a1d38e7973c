"""The routes of Responses over HTTP: whole and streamed, errors in OpenAI's shape, and no body that
breaks them."""

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

from harness.watching.responses_package import disorder
from rbee.contract.config import ModelsSection
from rbee.contract.errors import ModelNotFound, PromptTooLong, QueueFull, WorkerCrashed
from rbee.contract.events import Accepted, Started, Token
from rbee.queen.gateway.openai import routes as openai
from rbee.queen.gateway.responses import routes
from rbee.queen.gateway.room import Room
from rbee.runtime import server
from rbee.runtime.lifecycle import Lifecycle
from tests.queen.gateway.conftest import FILE, Queen
from tests.queen.gateway.protocols import json_values
from tests.queen.gateway.test_openai_routes import in_shape

Client = TestClient[web.Request, web.Application]
HI = {"input": "Hi"}
PATHS = ["/v1/responses", "/responses"]
COUNT = "/v1/responses/input_tokens"
KINDS = {COUNT: "response.input_tokens"}
STARTED = Started("r", "m", "w", "n")
FULL = QueueFull(slots_total=1, slots_busy=1, waiting=2)
CRASH = WorkerCrashed(worker_id="w", node="n", tokens=1, max_tokens=2, log_tail=[])
LONG = PromptTooLong(errors=[{"field": "prompt", "constraint": "", "message": "", "value": 1}])


@pytest.fixture
async def client(room: Room) -> AsyncIterator[Client]:
    app = server.application(Lifecycle("queen-rbee", None, None), largest_body=1 << 16)
    openai.add(app, room)
    routes.add(app, room)
    async with TestClient(TestServer(app)) as found:
        yield found


def events_of(body: str) -> list[Any]:
    """The events of a stream, whose names are their types; there is no mark at the end."""
    assert body.endswith("\n\n")
    found = []
    for block in body.split("\n\n")[:-1]:
        if block.startswith(":"):
            continue
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


@pytest.mark.parametrize("path", PATHS)
async def test_a_reply_and_a_stream_say_the_same(client: Client, path: str) -> None:
    reply = await client.post(path, json={**HI, "model": "repo-q4_k_m"})
    assert (reply.status, reply.content_type) == (200, "application/json")
    whole = await reply.json()
    assert (whole["status"], whole["model"]) == ("completed", "repo-q4_k_m")
    assert whole["output"][0]["content"][0]["text"] == "Hello"
    stream = await client.post(path, json={**HI, "stream": True})
    assert (stream.status, stream.content_type) == (200, "text/event-stream")
    events = events_of(await stream.text())
    assert disorder(events) == ""
    assert events[-1]["response"]["usage"] == whole["usage"]
    assert events[-1]["response"]["model"] == "bundled:smollm2-135m-instruct"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "code", "param"),
    [
        (FULL, 503, "queue_full", None),
        (ModelNotFound(model="m", near=[]), 404, "model_not_found", "model"),
        (CRASH, 502, "worker_crashed", None),
        (LONG, 400, "context_length_exceeded", "input"),
    ],
)
async def test_an_error_before_a_worker_has_it_is_a_status(
    client: Client,
    queen: Queen,
    error: Exception,
    status: int,
    code: str,
    param: str | None,
    stream: bool,
) -> None:
    queen.answers = [[Accepted("r"), error]]
    reply = await client.post("/v1/responses", json={**HI, "stream": stream})
    assert (reply.status, reply.content_type) == (status, "application/json")
    found = in_shape(await reply.json())
    assert (found["code"], found["param"]) == (code, param)
    assert ("Retry-After" in reply.headers) == (status == 503)


async def test_an_error_after_it_is_the_last_event(client: Client, queen: Queen) -> None:
    queen.answers = [[Accepted("r"), STARTED, Token("a", 0), CRASH]]
    reply = await client.post("/v1/responses", json={**HI, "stream": True})
    events = events_of(await reply.text())
    assert (reply.status, events[-1]["type"]) == (200, "response.failed")
    error = events[-1]["response"]["error"]
    assert (error["code"], error["rbee"]["code"]) == ("server_error", "WORKER_CRASHED")
    whole = await client.post("/v1/responses", json=HI)
    assert whole.status == 502


async def test_a_client_that_waits_gets_its_headers_and_then_errors_in_the_stream(
    client: Client, queen: Queen
) -> None:
    waiting = asyncio.Event()
    queen.answers = [[Accepted("r"), waiting, FULL]]
    async with client.post("/v1/responses", json={**HI, "stream": True}) as reply:
        assert reply.status == 200  # after 2 s
        assert await reply.content.readuntil(b"\n\n") == b": keep-alive\n\n"
        waiting.set()
        events = events_of((await reply.read()).decode())
    assert [each["type"] for each in events] == [
        "response.created",
        "response.in_progress",
        "response.failed",
    ]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("rest", ["/resp_1", "/resp_1/input_items"])
async def test_no_response_is_there_afterwards(client: Client, path: str, rest: str) -> None:
    for method, status in (("GET", 404), ("DELETE", 404), ("POST", 405)):
        reply = await client.request(method, path + rest)
        assert reply.status == status
        found = in_shape(await reply.json())
        assert found["type"] == "invalid_request_error"


async def test_the_model_that_is_asked_is_the_one_that_was_named(
    client: Client, queen: Queen
) -> None:
    await client.post("/v1/responses", json={**HI, "model": "repo-q4_k_m"})
    assert queen.asked[0].model == FILE


NAMES = [
    "input",
    "instructions",
    "model",
    "max_output_tokens",
    "tools",
    "tool_choice",
    "reasoning",
    "text",
    "include",
    "top_logprobs",
    "stream",
    "metadata",
    "stop",
    "conversation",
    "prompt",
    "background",
]
bodies = json_values | st.dictionaries(st.sampled_from(NAMES), json_values, max_size=4)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=bodies, good=st.booleans(), path=st.sampled_from([*PATHS, COUNT]))
def test_no_body_breaks_them(body: Any, good: bool, path: str) -> None:
    if good and isinstance(body, dict):
        body = {**body, **HI}
    status, kind, text = asyncio.run(_asked(path, body))
    if status == 200 and kind == "text/event-stream":
        assert disorder(events_of(text)) == ""
    elif status == 200:
        assert json.loads(text)["object"] == KINDS.get(path, "response")
    else:
        assert status in (400, 404), text
        assert in_shape(json.loads(text))["type"] == "invalid_request_error"


async def _asked(path: str, body: Any) -> tuple[int, str, str]:
    queen = Queen()
    app = server.application(Lifecycle("queen-rbee", None, None))
    routes.add(app, Room(queen, queen, ModelsSection()))
    async with TestClient(TestServer(app)) as client:
        reply = await client.post(path, json=body)
        return reply.status, reply.content_type, await reply.text()
