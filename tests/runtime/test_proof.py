"""A key is shown on a connection on which the other end has proven that it knows it, and on no
other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rbee.contract.endpoints import QUEEN_HEALTH, Endpoint, Nothing
from rbee.contract.errors import ConnectionTimeout, InvalidApiKey, KeyNotProven, RbeeError
from rbee.contract.events import Event, Token
from rbee.contract.workers import WorkerName
from rbee.runtime import server
from rbee.runtime.client import Client
from rbee.runtime.lifecycle import Lifecycle

from .conftest import Connect

KEY = "key-of-this-machine"
ASK = Endpoint("POST", "/ask", WorkerName, WorkerName)
TALK = Endpoint("GET", "/talk", Nothing, Nothing, (Token,))
PROMPT = WorkerName("a secret prompt")

Answer = Callable[[str], bytes]


class Stranger:
    """Listens, answers the first line of each request as `answer` says, and keeps what it got."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.got = b""
        self.connections = 0

    async def begin(self, port: int = 0) -> asyncio.Server:
        listening = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = listening.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return listening

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while line := await reader.readline():
            head = line + await reader.readuntil(b"\r\n\r\n")
            self.got += head
            writer.write(self.answer(line.decode().split(" ")[1]))
            while chunk := await reader.read(65536):
                self.got += chunk
                writer.write(self.answer(chunk.decode().split(" ")[1]))
        writer.close()


def reply(status: int, body: object) -> bytes:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} Well\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text


def proof(proof: object, wants_key: bool = True, program: str = "queen-rbee") -> bytes:
    return reply(200, {"program": program, "wants_key": wants_key, "proof": proof})


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def daemon(stack: AsyncExitStack, lifecycle: Lifecycle, asked: list[str]) -> str:
    """One of ours; gives its URL."""
    app = server.application(lifecycle)

    async def handle(request: web.Request, message: WorkerName) -> WorkerName:
        asked.append(request.headers.get("Authorization", "no key"))
        return message

    server.answer(app, ASK, handle)
    started = await stack.enter_async_context(TestServer(app, host="127.0.0.1"))
    return str(started.make_url("/")).rstrip("/")


async def test_one_that_knows_the_key_gets_it(stack: AsyncExitStack, connect: Connect) -> None:
    asked: list[str] = []
    url = await daemon(stack, Lifecycle("queen-rbee", None, KEY), asked)
    client = connect(url, KEY)
    for _ in range(3):
        assert await client.call(ASK, PROMPT) == PROMPT
    assert asked == [f"Bearer {KEY}"] * 3


async def test_one_connection_with_one_proof_serves_streams_and_calls(
    stack: AsyncExitStack, connect: Connect
) -> None:
    met: dict[object, list[str]] = {}

    async def talk(request: web.Request, _: Nothing) -> AsyncIterator[Event | None]:
        yield Token("a", 0)

    async def count(request: web.Request, _: web.StreamResponse) -> None:
        met.setdefault(request.transport, []).append(request.path)

    app = server.application(Lifecycle("queen-rbee", None, KEY))
    app.on_response_prepare.append(count)
    server.stream(app, TALK, talk)
    started = await stack.enter_async_context(TestServer(app, host="127.0.0.1"))
    client = connect(str(started.make_url("/")), KEY)
    for _ in range(2):
        async with client.stream(TALK) as events:
            assert [event async for event in events] == [Token("a", 0)]
        await client.call(TALK)  # reads the stream as one body
    assert list(met.values()) == [["/v1/auth/proof", *["/talk"] * 4]]


async def test_an_open_door_with_the_same_key_proves_itself(
    stack: AsyncExitStack, connect: Connect
) -> None:
    url = await daemon(stack, Lifecycle("queen-rbee", None, None, known_key=KEY), [])
    assert await connect(url, KEY).call(ASK, PROMPT) == PROMPT


@pytest.mark.parametrize("known", [None, "another-key"])
async def test_an_open_door_without_our_key_gets_nothing(
    stack: AsyncExitStack, connect: Connect, known: str | None
) -> None:
    asked: list[str] = []
    url = await daemon(stack, Lifecycle("queen-rbee", None, None, known_key=known), asked)
    with pytest.raises(InvalidApiKey if known else KeyNotProven) as caught:
        await connect(url, KEY).call(ASK, PROMPT)
    assert asked == []
    if known is None:
        assert "it runs without a key. Nothing was sent to it." in caught.value.message
        assert "--insecure" in caught.value.advice


async def test_a_client_without_a_key_asks_for_no_proof(
    stack: AsyncExitStack, connect: Connect
) -> None:
    asked: list[str] = []
    url = await daemon(stack, Lifecycle("queen-rbee", None, None), asked)
    assert await connect(url).call(ASK, PROMPT) == PROMPT
    assert asked == ["no key"]


async def test_one_with_another_key_is_told_from_a_stranger(
    stack: AsyncExitStack, connect: Connect
) -> None:
    asked: list[str] = []
    url = await daemon(stack, Lifecycle("queen-rbee", None, "another-key"), asked)
    with pytest.raises(InvalidApiKey) as caught:
        await connect(url, KEY).call(ASK, PROMPT)
    assert caught.value.details == {"host": urlsplit(url).netloc}
    assert asked == []


ANSWERS: list[bytes] = [
    reply(404, {}),
    reply(401, {"error": {"code": "INVALID_API_KEY", "message": "no", "details": {"host": "h"}}}),
    reply(421, {}),
    reply(403, {}),
    reply(500, b"x" * 5000),
    reply(200, {}),
    reply(200, b"not json"),
    reply(200, b"x" * 1025),
    reply(200, b'{"program":"queen-rbee","wants_key":true,"proof":"\xed\xa0\x80"}'),
    reply(302, b""),
    proof(None, wants_key=False),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    b"HTTP/1.1 \xb2 OK\r\nContent-Length: 1\r\n\r\nx",
    b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000 + b"\r\n\r\n",
]


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
async def test_a_stranger_gets_neither_key_nor_prompt(connect: Connect, answer: bytes) -> None:
    stranger = Stranger(lambda _: answer)
    async with await stranger.begin():
        with pytest.raises(KeyNotProven) as caught:
            await connect(stranger.url, KEY).call(ASK, PROMPT)
    assert KEY.encode() not in stranger.got
    assert b"secret prompt" not in stranger.got
    assert stranger.got.startswith(b"GET /v1/auth/proof?")
    assert stranger.got.count(b"\r\n\r\n") == 1
    assert f"127.0.0.1:{stranger.port}" in caught.value.message
    assert "Nothing was sent to it." in caught.value.message
    assert "(pid " in str(caught.value.details["holder"])


@pytest.mark.parametrize("guess", [None, "", "00" * 32, "é" * 32, NotImplemented])
async def test_a_stranger_with_a_wrong_proof_counts_as_one_with_another_key(
    connect: Connect, guess: object
) -> None:
    stranger = Stranger(lambda _: proof("f" * 64 if guess is NotImplemented else guess))
    async with await stranger.begin():
        with pytest.raises(InvalidApiKey) as caught:
            await connect(stranger.url, KEY).call(ASK, PROMPT)
    assert stranger.got.count(b"\r\n\r\n") == 1
    assert "so none was sent" in caught.value.message


async def test_a_proof_from_before_is_worth_nothing(
    stack: AsyncExitStack, connect: Connect
) -> None:
    """Each question has a nonce of its own."""
    nonces: set[str] = set()

    def note(target: str) -> bytes:
        nonces.update(parse_qs(urlsplit(target).query)["nonce"])
        return proof("00" * 32)

    stranger = Stranger(note)
    async with await stranger.begin():
        for _ in range(3):
            with pytest.raises(InvalidApiKey):
                await connect(stranger.url, KEY).call(ASK, PROMPT)
    assert len(nonces) == 3
    assert all(len(bytes.fromhex(nonce)) >= 16 for nonce in nonces)


async def test_a_relay_gets_no_proof(stack: AsyncExitStack, connect: Connect) -> None:
    """The stranger passes the question on to the real queen, which listens elsewhere."""
    asked: list[str] = []
    url = await daemon(stack, Lifecycle("queen-rbee", None, KEY), asked)
    relay = Relay(url)
    async with await relay.begin():
        with pytest.raises(KeyNotProven) as caught:
            await connect(relay.url, KEY).call(ASK, PROMPT)
        assert relay.passed == 1
        assert asked == []
        assert "it says that 127.0.0.1" in caught.value.message
        assert "[auth]" in caught.value.advice


async def test_a_relay_that_the_operator_declares_passes_the_proof(
    stack: AsyncExitStack, connect: Connect
) -> None:
    asked: list[str] = []
    lifecycle = Lifecycle("queen-rbee", None, KEY)
    relay = Relay(await daemon(stack, lifecycle, asked))
    async with await relay.begin():
        lifecycle.reached_at = frozenset({urlsplit(relay.url).netloc})
        assert await connect(relay.url, KEY).call(ASK, PROMPT) == PROMPT
    assert asked == [f"Bearer {KEY}"]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> str:
    """The clients of a test are on another machine than its daemons, under the same addresses."""
    name = "e" * 32
    monkeypatch.setattr("rbee.runtime.proof.this_machine", lambda: name)
    return name


@pytest.mark.usefixtures("elsewhere")
async def test_the_same_loopback_address_on_another_machine_is_not_its_own(
    stack: AsyncExitStack, connect: Connect
) -> None:
    asked: list[str] = []
    url = await daemon(stack, Lifecycle("queen-rbee", None, KEY), asked)
    with pytest.raises(KeyNotProven) as caught:
        await connect(url, KEY).call(ASK, PROMPT)
    assert asked == []
    assert "it says that 127.0.0.1" in caught.value.message
    assert f'hosts = ["{urlsplit(url).netloc}"]' in caught.value.advice


async def test_a_relay_cannot_leave_the_machine_out(
    stack: AsyncExitStack, connect: Connect, elsewhere: str
) -> None:
    """Even at an address for which the daemon answers."""
    asked: list[str] = []
    lifecycle = Lifecycle("queen-rbee", None, KEY)
    relay = Relay(await daemon(stack, lifecycle, asked))
    relay.change = lambda sent: sent.replace(elsewhere.encode(), b"")
    async with await relay.begin():
        lifecycle.reached_at = frozenset({urlsplit(relay.url).netloc})
        with pytest.raises(InvalidApiKey):
            await connect(relay.url, KEY).call(ASK, PROMPT)
    assert (relay.passed, asked) == (1, [])
    assert f"machine={elsewhere}".encode() in relay.sent


@pytest.mark.usefixtures("elsewhere")
async def test_a_loopback_address_of_another_machine_can_be_declared(
    stack: AsyncExitStack, connect: Connect
) -> None:
    asked: list[str] = []
    lifecycle = Lifecycle("queen-rbee", None, KEY)
    url = await daemon(stack, lifecycle, asked)
    lifecycle.reached_at = frozenset({urlsplit(url).netloc})
    assert await connect(url, KEY).call(ASK, PROMPT) == PROMPT


@pytest.mark.usefixtures("elsewhere")
async def test_through_a_tunnel_the_far_end_is_what_counts(stack: AsyncExitStack) -> None:
    url = await daemon(stack, Lifecycle("rbee-hive", None, KEY), [])
    tunnel = Relay(url)
    async with await tunnel.begin(), Client(tunnel.url, KEY, 5, 5, far=url) as client:
        assert await client.call(ASK, PROMPT) == PROMPT
        assert await client.call(ASK, PROMPT) == PROMPT
    assert tunnel.passed == 1


async def test_a_connection_that_is_proven_serves_the_next_request_as_well(
    stack: AsyncExitStack, connect: Connect
) -> None:
    lifecycle = Lifecycle("queen-rbee", None, KEY)
    relay = Relay(await daemon(stack, lifecycle, []))
    async with await relay.begin():
        lifecycle.reached_at = frozenset({urlsplit(relay.url).netloc})
        client = connect(relay.url, KEY)
        for _ in range(3):
            assert await client.call(ASK, PROMPT) == PROMPT
        await client.close()
    assert relay.passed == 1
    assert relay.sent.count(b"GET /v1/auth/proof?") == 1


class Relay:
    """Passes bytes on, both ways; `change` makes others of those that a client sends."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self.change: Callable[[bytes], bytes] = lambda sent: sent
        self.passed = 0
        self.sent = b""

    async def begin(self) -> asyncio.Server:
        listening = await asyncio.start_server(self._serve, "127.0.0.1")
        self.url = "http://{}:{}".format(*listening.sockets[0].getsockname())
        return listening

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self.passed += 1
        far, on = await asyncio.open_connection(self._target.hostname, self._target.port)

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while chunk := await source.read(65536):
                if source is near:
                    self.sent += chunk
                    chunk = self.change(chunk)
                target.write(chunk)
            target.close()

        await asyncio.gather(copy(near, on), copy(far, back))


async def test_what_is_open_is_asked_without_a_proof(connect: Connect) -> None:
    """So that a keeper learns which program is there."""
    health = {"status": "ok", "program": "queen-rbee", "version": "0.1.0", "pid": 1}
    stranger = Stranger(lambda _: reply(200, health))
    async with await stranger.begin():
        client = connect(stranger.url, KEY)
        assert (await client.call(QUEEN_HEALTH)).program == "queen-rbee"
        with pytest.raises(RbeeError):
            await client.call(ASK, PROMPT)
    assert KEY.encode() not in stranger.got


async def test_the_next_connection_is_proven_again(stack: AsyncExitStack, connect: Connect) -> None:
    """The daemon ends, and a stranger takes its port, while the client has it for proven."""
    lifecycle = Lifecycle("queen-rbee", None, KEY)
    async with AsyncExitStack() as first:
        url = await daemon(first, lifecycle, [])
        client = connect(url, KEY)
        assert await client.call(ASK, PROMPT) == PROMPT
    stranger = Stranger(lambda _: reply(404, {}))
    async with await stranger.begin(urlsplit(url).port or 0):
        with pytest.raises((KeyNotProven, ConnectionTimeout)):
            await client.call(ASK, PROMPT)
    assert KEY.encode() not in stranger.got
    assert b"secret prompt" not in stranger.got


async def test_who_never_answers_is_given_up_in_time(connect: Connect) -> None:
    stranger = Stranger(lambda _: b"")
    async with await stranger.begin():
        with pytest.raises(ConnectionTimeout):
            async with asyncio.timeout(5):
                await connect(stranger.url, KEY).call(ASK, PROMPT, within_s=0.1)
    assert KEY.encode() not in stranger.got
