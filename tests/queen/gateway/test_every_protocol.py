"""What is the same in all protocols, each told in its own shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from rbee.contract.errors import PromptTooLong, QueueFull, RbeeError, TooManyRequests, WorkerCrashed
from rbee.contract.events import Accepted, Event, Started, Token
from rbee.contract.tasks import keep_alive_s
from rbee.queen.gateway.anthropic import routes as anthropic
from rbee.queen.gateway.llama_cpp import routes as llama_cpp
from rbee.queen.gateway.ollama import routes as ollama
from rbee.queen.gateway.ollama.shelf import Shelf
from rbee.queen.gateway.openai import routes as openai
from rbee.queen.gateway.responses import routes as responses
from rbee.queen.gateway.room import Room
from rbee.runtime import server
from rbee.runtime.lifecycle import Lifecycle
from tests.queen.gateway.conftest import ANSWER, FILE
from tests.queen.gateway.protocols import (
    CHAT,
    COMPLETION,
    LLAMA,
    MESSAGES,
    OLLAMA_CHAT,
    OLLAMA_GENERATE,
    PROTOCOLS,
    RESPONSES,
    Protocol,
)
from tests.queen.gateway.test_llama_cpp import TextQueen
from tests.queen.gateway.test_ollama_routes import Store

Client = TestClient[web.Request, web.Application]
DEFAULT = "bundled:smollm2-135m-instruct"
JSON = {"Content-Type": "application/json"}
PAGE = "https://chat.example.org"
FULL = QueueFull(slots_total=1, slots_busy=1, waiting=2)
LIMIT = TooManyRequests(key="laptop", limit=2)
CRASH = WorkerCrashed(worker_id="w", node="n", tokens=1, max_tokens=2, log_tail=[])
LONG = PromptTooLong(errors=[{"field": "prompt", "constraint": "", "message": "", "value": 1}])
BEGUN: list[Event | Exception | asyncio.Event] = [
    Accepted("r"),
    Started("r", FILE, "w", "n", 7),
    Token("a", 0),
]
every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
whole_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture
def queen() -> TextQueen:
    return TextQueen()


@pytest.fixture
async def client(queen: TextQueen, room: Room) -> AsyncIterator[Client]:
    lifecycle = Lifecycle("queen-rbee", None, None)
    lifecycle.origins = frozenset([PAGE])
    app = server.application(lifecycle, largest_body=1 << 16)
    store = Store()
    for protocol in (openai, responses, anthropic):
        protocol.add(app, room)
    llama_cpp.add(app, room, queen)
    ollama.add(app, room, Shelf(room, store, store))
    async with TestClient(TestServer(app)) as found:
        yield found


@pytest.mark.parametrize(
    ("protocols", "headers", "fields", "session"),
    [
        (PROTOCOLS, {"X-Session-Id": "h"}, {}, "h"),
        (PROTOCOLS, {"x-session-affinity": "h"}, {}, "h"),
        (PROTOCOLS, {"session-id": "h"}, {}, "h"),
        (PROTOCOLS, {"session_id": "h"}, {}, "h"),
        (PROTOCOLS, {"conversation_id": "h"}, {}, "h"),
        (PROTOCOLS, {"X-Claude-Code-Session-Id": "h", "X-Session-Id": "i"}, {}, "h"),
        (PROTOCOLS, {"X-Session-Id": "h" * 2000}, {}, "h" * 1024),
        (PROTOCOLS, {"X-Session-Id": ""}, {"user": "u", "metadata": {}, "id_slot": -1}, None),
        ([CHAT, COMPLETION, RESPONSES], {"X-Session-Id": "h"}, {"prompt_cache_key": "k"}, "k"),
        ([CHAT, COMPLETION, RESPONSES], {}, {"prompt_cache_key": ""}, None),
        ([CHAT, COMPLETION], {}, {"prompt_cache_key": "k", "n": 2}, "k"),
        ([MESSAGES], {}, {"metadata": {"user_id": "u"}}, "u"),
        ([MESSAGES], {"X-Session-Id": "h"}, {"metadata": {"user_id": "u"}}, "h"),
        ([MESSAGES], {}, {"metadata": {"user_id": None, "more": [1]}}, None),
        ([LLAMA], {}, {"id_slot": 3}, "slot 3"),
        ([LLAMA], {"X-Session-Id": "h"}, {"id_slot": 0}, "slot 0"),
    ],
)
async def test_a_session_is_told_by_a_field_or_a_header(
    client: Client,
    queen: TextQueen,
    protocols: list[Protocol],
    headers: dict[str, str],
    fields: dict[str, Any],
    session: str | None,
) -> None:
    for protocol in protocols:
        asked = {**protocol.asked, **fields}
        reply = await client.post(protocol.path, json=asked, headers=headers)
        assert reply.status == 200, (protocol, await reply.text())
    assert len(queen.asked) == len(protocols) * fields.get("n", 1)
    assert {asked.session for asked in queen.asked} == {session}


@every_protocol
async def test_a_reply_and_a_stream_say_the_same(client: Client, protocol: Protocol) -> None:
    whole = await client.post(protocol.path, json={**protocol.asked, "stream": False})
    assert (whole.status, whole.content_type) == (200, "application/json")
    assert protocol.text(await whole.json()) == "Hello"
    stream = await client.post(protocol.path, json={**protocol.asked, "stream": True})
    kind = "text/event-stream" if protocol.comments else "application/x-ndjson"
    assert (stream.status, stream.content_type) == (200, kind)
    said = [protocol.text(each) for each in protocol.events(await stream.text())]
    assert "".join(each or "" for each in said) == "Hello"


@every_protocol
async def test_what_is_unknown_or_null_is_ignored(
    client: Client, queen: TextQueen, protocol: Protocol
) -> None:
    asked = {**protocol.asked, "model": None, "temperature": None, "keep_alive": None}
    reply = await client.post(protocol.path, json={**asked, "nobody": [{"knows": 1}]})
    assert reply.status == 200, await reply.text()
    assert queen.asked[0].temperature == 0.7


@every_protocol
@pytest.mark.parametrize(("given", "known"), [("10m", 600), (0, 0), (-1, -1), (90, 90)])
async def test_how_long_a_model_stays_is_told(
    client: Client, queen: TextQueen, protocol: Protocol, given: object, known: float
) -> None:
    await client.post(protocol.path, json={**protocol.asked, "keep_alive": given})
    [task] = queen.asked
    assert task.keep_alive is not None and keep_alive_s(task.keep_alive) == known


@every_protocol
@pytest.mark.parametrize("name", [None, ""])
async def test_without_a_name_the_default_is_meant(
    client: Client, queen: TextQueen, protocol: Protocol, name: str | None
) -> None:
    reply = await client.post(protocol.path, json={**protocol.asked, "model": name})
    assert (reply.status, queen.asked[0].model) == (200, DEFAULT)
    assert (await reply.json())["model"] == DEFAULT


@every_protocol
@whole_and_streamed
async def test_an_unknown_model_is_refused_with_the_nearest_names(
    client: Client, protocol: Protocol, stream: bool
) -> None:
    asked = {**protocol.asked, "model": "smolm2", "stream": stream}
    reply = await client.post(protocol.path, json=asked)
    message, ours = protocol.error(await reply.json())
    assert (reply.status, ours["code"]) == (404, "MODEL_NOT_FOUND")
    assert "smollm2" in message and "smollm2" in ours["details"]["near"], message


@every_protocol
@whole_and_streamed
@pytest.mark.parametrize(
    ("error", "status"), [(FULL, 503), (LIMIT, 429), (CRASH, 502), (LONG, 400)], ids=str
)
async def test_an_error_before_the_first_word_is_a_status(
    client: Client,
    queen: TextQueen,
    protocol: Protocol,
    error: RbeeError,
    status: int,
    stream: bool,
) -> None:
    queen.answers = [[Accepted("r"), error]]
    reply = await client.post(protocol.path, json={**protocol.asked, "stream": stream})
    assert (reply.status, reply.content_type) == (status, "application/json")
    _, ours = protocol.error(await reply.json())
    assert ours["code"] == error.code
    assert reply.headers.get("Retry-After") == ("1" if status in (429, 503) else None)


@every_protocol
@pytest.mark.parametrize("error", [CRASH, ZeroDivisionError("a secret")], ids=["ours", "unknown"])
async def test_an_error_after_it_is_the_last_event(
    client: Client, queen: TextQueen, protocol: Protocol, error: Exception
) -> None:
    queen.answers = [[*BEGUN, error]]
    reply = await client.post(protocol.path, json={**protocol.asked, "stream": True})
    text = await reply.text()
    message, ours = protocol.failed(text)
    assert reply.status == 200 and message and "secret" not in text
    assert ours["code"] == getattr(error, "code", "INTERNAL")
    assert "a" in [protocol.text(each) for each in protocol.events(text)[:-1]]
    assert text.endswith("data: [DONE]\n\n") == (protocol in (CHAT, COMPLETION))
    whole = await client.post(protocol.path, json={**protocol.asked, "stream": False})
    assert whole.status == getattr(error, "status", 500)


async def test_a_stream_that_waits_is_opened_and_then_tells_errors_itself(
    client: Client, queen: TextQueen
) -> None:
    """All at once: each is opened after 2 s."""
    waiting, opened = asyncio.Event(), asyncio.Barrier(len(PROTOCOLS))
    queen.answers = [[Accepted("r"), waiting, FULL]]

    async def wait(protocol: Protocol) -> str:
        asked = {**protocol.asked, "stream": True}
        async with client.post(protocol.path, json=asked) as reply:
            assert reply.status == 200, protocol
            if protocol.comments:
                assert await reply.content.readuntil(b"\n\n") == b": keep-alive\n\n", protocol
            await opened.wait()
            waiting.set()
            _, ours = protocol.failed((await reply.read()).decode())
        return str(ours["code"])

    assert await asyncio.gather(*map(wait, PROTOCOLS)) == ["QUEUE_FULL"] * len(PROTOCOLS)


@every_protocol
@whole_and_streamed
async def test_a_client_that_leaves_cancels_its_task(
    client: Client, queen: TextQueen, protocol: Protocol, stream: bool
) -> None:
    queen.answers = [[*BEGUN, asyncio.Event()]]

    async def read() -> None:
        asked = {**protocol.asked, "stream": stream}
        async with client.post(protocol.path, json=asked) as reply:
            await reply.read()

    asking = asyncio.create_task(read())
    await queen.begun.wait()
    asking.cancel()
    async with asyncio.timeout(10):
        await queen.closed.wait()
    assert queen.left == 1


@every_protocol
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"data": b"{", "headers": JSON}, 400),
        ({"data": b"[]", "headers": JSON}, 400),
        ({"data": b"\xff\xfe", "headers": JSON}, 400),
        ({"data": b"[" * 30000, "headers": JSON}, 400),
        ({"data": b"{}", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"data": b" " * 70000, "headers": JSON}, 413),
        ({"json": {}, "headers": {"Origin": "http://evil.example"}}, 403),
        ({"json": {}, "headers": {"Host": "evil.example"}}, 403),
    ],
)
async def test_what_is_refused_before_it_is_read_is_refused_in_shape(
    client: Client, queen: TextQueen, protocol: Protocol, sent: dict[str, Any], status: int
) -> None:
    reply = await client.post(protocol.path, **sent)
    assert reply.status == status
    message, ours = protocol.error(await reply.json())
    assert message and ours["code"] == "INVALID_REQUEST" and not queen.asked
    wrong = await client.put(protocol.path, json={})
    assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")
    assert "Use POST." in protocol.error(await wrong.json())[0]


@every_protocol
async def test_a_route_that_is_mistyped_is_told_in_shape_with_the_one_that_was_meant(
    client: Client, protocol: Protocol
) -> None:
    reply = await client.post(protocol.path[:-1], json=protocol.asked)
    message, ours = protocol.error(await reply.json())
    assert (reply.status, ours["code"]) == (404, "INVALID_REQUEST")
    assert f"Did you mean POST {protocol.path}?" in message


@every_protocol
async def test_a_page_that_is_allowed_may_ask_and_reads_answers_and_errors(
    client: Client, queen: TextQueen, protocol: Protocol
) -> None:
    queen.answers = [ANSWER, ANSWER, [FULL]]
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-session-id",
    }
    first = await client.options(protocol.path, headers={"Origin": PAGE, **asks})
    assert (first.status, first.headers["Access-Control-Allow-Headers"]) == (204, "x-session-id")
    for stream, status in ((False, 200), (True, 200), (False, 503)):
        asked = {**protocol.asked, "stream": stream}
        reply = await client.post(protocol.path, json=asked, headers={"Origin": PAGE})
        found = reply.status, reply.headers["Access-Control-Allow-Origin"]
        assert found == (status, PAGE)
        assert "Retry-After" in reply.headers["Access-Control-Expose-Headers"]
    other = await client.options(protocol.path, headers={"Origin": "https://other.org", **asks})
    assert other.status == 403 and "Access-Control-Allow-Origin" not in other.headers


_URL = {"url": "http://x/y.png"}
_SEEN: list[tuple[Protocol, dict[str, Any], str]] = [
    (CHAT, CHAT.content([{"type": "image_url", "image_url": _URL}]), "messages[0].content[0].type"),
    (
        RESPONSES,
        RESPONSES.content([{"type": "input_image", "image_url": "x"}]),
        "input[0].content[0].type",
    ),
    (
        MESSAGES,
        MESSAGES.content([{"type": "image", "source": {"type": "url", **_URL}}]),
        "messages[0].content[0].type",
    ),
    (
        OLLAMA_CHAT,
        {"messages": [{"role": "user", "content": "Hi", "images": ["aGk="]}]},
        "messages[0].images",
    ),
    (OLLAMA_GENERATE, {"prompt": "Hi", "images": ["aGk="]}, "images"),
    (
        LLAMA,
        {"prompt": {"prompt_string": "<__media__>", "multimodal_data": ["aGk="]}},
        "prompt.multimodal_data",
    ),
    (LLAMA, {"prompt": "Hi", "image_data": [{"data": "aGk=", "id": 1}]}, "image_data"),
]


@pytest.mark.parametrize(("protocol", "asked", "field"), _SEEN, ids=str)
async def test_images_are_refused_by_name_with_the_reason(
    client: Client, queen: TextQueen, protocol: Protocol, asked: dict[str, Any], field: str
) -> None:
    for stream in (False, True):
        reply = await client.post(protocol.path, json={**asked, "stream": stream})
        message, ours = protocol.error(await reply.json())
        assert reply.status == 400 and not queen.asked
        [wrong] = ours["details"]["errors"]
        assert wrong["field"] == field and field in message, message
        assert "rbee can't run models that" in message, message
