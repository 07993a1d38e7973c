"""A model on a node: the hive is asked, and watched until it is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rbee.contract.errors import DiskFull, ModelNotFound, StreamTruncated
from rbee.contract.events import Download, Event
from rbee.contract.models import DownloadReply, DownloadRequest
from rbee.queen.nodes.provision import provide
from rbee.runtime import sse
from rbee.runtime.client import Client

ASKED = {"model": "hf:owner/repo", "backend": "cuda", "device": 1, "force": False}
REFERENCE = "hf:owner/repo/m-Q4_K_M.gguf"
HALF = Download("downloading", 5, 10, 1.5)
AGAIN = Download("retrying", attempt=2, attempts=6, delay_ms=100, reason="Connection reset")
WHOLE = Download("complete", 10, 10, local_path="/m.gguf", checked="sha256")
DONE = b"data: [DONE]\n\n"


class FakeHive:
    """Answers one request for a model, and then tells `events`."""

    def __init__(self) -> None:
        self.reply = web.Response(status=500)
        self.events: list[Event] = []
        self.ends = True
        self.asked: list[object] = []

    def here(self, local_path: str | None) -> None:
        body = msgspec.json.encode(DownloadReply("d-7", REFERENCE, local_path))
        self.reply = web.Response(body=body)

    async def download(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        return self.reply

    async def progress(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in self.events:
            await response.write(sse.encode(event))
        if self.ends:
            await response.write(DONE)
        return response


class Made:
    def __init__(self, hive: FakeHive, client: Client) -> None:
        self.hive = hive
        self.told: list[Download] = []
        self.said: list[str] = []
        self._client = client

    async def provide(self, to_run: bool = False, detach: bool = False) -> str:
        provided = await provide(
            self._client,
            DownloadRequest(
                "hf:owner/repo", to_run=to_run, detach=detach, backend="cuda", device=1
            ),
            self.told.append,
            lambda actor, emoji, text: self.said.append(f"[{actor}] {emoji} {text}"),
        )
        return provided.reference


@pytest.fixture
async def made() -> AsyncIterator[Made]:
    hive = FakeHive()
    app = web.Application()
    app.router.add_post("/v1/models/download", hive.download)
    app.router.add_get("/v1/models/download/progress", hive.progress)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(TestServer(app, host="127.0.0.1"))
        url = str(server.make_url("/")).rstrip("/")
        client = await stack.enter_async_context(Client(url, "key", 5, 5))
        yield Made(hive, client)


async def test_a_model_that_is_there_is_told_at_once(made: Made) -> None:
    made.hive.here("/m.gguf")
    assert await made.provide() == REFERENCE
    assert made.told == []
    assert made.said == [f"[model-provisioner] 📦 model provisioning: {REFERENCE} is on disk"]
    assert made.hive.asked == [{**ASKED, "detach": False, "to_run": False}]


async def test_a_model_that_is_fetched_is_told_step_by_step(made: Made) -> None:
    made.hive.here(None)
    made.hive.events = [HALF, AGAIN, WHOLE]
    assert await made.provide(to_run=True) == REFERENCE
    assert made.told == [HALF, AGAIN, WHOLE]
    whole = "model provisioning: /m.gguf is whole (sha256 checked)"
    assert made.said == [f"[model-provisioner] ✅ {whole}"]
    assert made.hive.asked == [
        {**ASKED, "detach": False, "to_run": True},
        {"id": "d-7"},
    ]


async def test_detached_it_is_not_waited_for(made: Made) -> None:
    made.hive.here(None)
    assert await made.provide(detach=True) == REFERENCE
    assert made.told == []
    assert made.hive.asked == [{**ASKED, "detach": True, "to_run": False}]


async def test_what_the_hive_refuses_is_raised(made: Made) -> None:
    error = ModelNotFound(model="hf:owner/repo", near=["hf:owner/repo2"])
    made.hive.reply = web.Response(status=404, body=msgspec.json.encode(error.envelope()))
    with pytest.raises(ModelNotFound) as caught:
        await made.provide()
    assert caught.value.details == error.details


async def test_why_it_did_not_come_is_raised(made: Made) -> None:
    made.hive.here(None)
    made.hive.events = [HALF, DiskFull(required=9, available=1, path="/m").envelope()]
    with pytest.raises(DiskFull) as caught:
        await made.provide()
    assert caught.value.details["required"] == 9
    assert made.told == [HALF]


@pytest.mark.parametrize("ends", [True, False])
async def test_a_stream_that_merely_ends_is_a_failure(made: Made, ends: bool) -> None:
    made.hive.here(None)
    made.hive.events, made.hive.ends = [HALF], ends
    with pytest.raises(StreamTruncated):
        await made.provide()
