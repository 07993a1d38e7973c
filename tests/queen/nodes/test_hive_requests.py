"""What a hive takes its time for: one stream brings what it narrates and its answer."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from rbee.contract import endpoints as ep
from rbee.contract.errors import ConnectionTimeout, DiskFull, ModelNotFound, StreamTruncated
from rbee.contract.events import Download, Event, Narration
from rbee.contract.models import DownloadReply, DownloadRequest
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.hive_requests import ask, fetch_model
from rbee.runtime.event_queue import EventQueue

from .conftest import UrlNode

PATH = "/v1/models/download"
ASKED = {"model": "hf:owner/repo", "backend": "cuda", "device": 1, "force": False}
REFERENCE = "hf:owner/repo/m-Q4_K_M.gguf"
CHOSEN = Narration("model-provisioner", "Q4_K_M is chosen", "c-1", "🎯")
HALF = Download("downloading", 5, 10, 1.5)
AGAIN = Download("retrying", attempt=2, attempts=6, delay_ms=100, reason="Connection reset")
WHOLE = Download("complete", 10, 10, local_path="/m.gguf", checked="sha256")
FETCHED = DownloadReply("d-7", REFERENCE, None)
ON_DISK = DownloadReply("d-7", REFERENCE, "/m.gguf")


async def fetched(
    hive: Hive, events: EventQueue, to_run: bool = False, detach: bool = False
) -> DownloadReply:
    wanted = DownloadRequest(
        "hf:owner/repo", to_run=to_run, detach=detach, backend="cuda", device=1
    )
    async with asyncio.timeout(10):
        return await fetch_model(hive, wanted, events)


async def put(events: EventQueue) -> list[Event]:
    """What the reader has got; narration as `[actor] emoji text`."""
    events.close()
    return [event async for event in events.read()]


def narrated(events: list[Event]) -> list[str]:
    return [
        f"[{event.actor}] {event.emoji} {event.text} ({event.node})"
        for event in events
        if isinstance(event, Narration)
    ]


async def test_a_model_that_is_there_is_told_at_once(url_node: UrlNode) -> None:
    url_node.fake.streams[PATH] = [ON_DISK]
    events = EventQueue()
    assert await fetched(url_node.hive, events) == ON_DISK
    told = f"[model-provisioner] 📦 model provisioning: {REFERENCE} is on disk (workstation)"
    assert narrated(await put(events)) == [told]
    assert url_node.fake.messages == [{**ASKED, "detach": False, "to_run": False, "sources": []}]


async def test_a_model_that_is_fetched_is_told_step_by_step(url_node: UrlNode) -> None:
    url_node.fake.streams[PATH] = [CHOSEN, HALF, AGAIN, WHOLE, FETCHED]
    events = EventQueue()
    assert await fetched(url_node.hive, events, to_run=True) == FETCHED
    came = await put(events)
    assert came[1:4] == [HALF, AGAIN, WHOLE]
    assert narrated(came) == [
        "[model-provisioner] 🎯 Q4_K_M is chosen (workstation)",
        "[model-provisioner] ✅ model provisioning: /m.gguf is whole (sha256 checked)"
        " (workstation)",
    ]
    assert url_node.fake.messages == [{**ASKED, "detach": False, "to_run": True, "sources": []}]


async def test_detached_it_is_not_waited_for(url_node: UrlNode) -> None:
    url_node.fake.streams[PATH] = [FETCHED]
    events = EventQueue()
    assert await fetched(url_node.hive, events, detach=True) == FETCHED
    assert await put(events) == []
    assert url_node.fake.messages == [{**ASKED, "detach": True, "to_run": False, "sources": []}]


async def test_what_the_hive_refuses_is_raised_after_what_it_narrated(url_node: UrlNode) -> None:
    error = ModelNotFound(model="hf:owner/repo", near=["hf:owner/repo2"])
    url_node.fake.streams[PATH] = [CHOSEN, error.envelope()]
    events = EventQueue()
    with pytest.raises(ModelNotFound) as caught:
        await fetched(url_node.hive, events)
    assert caught.value.details == error.details
    assert len(narrated(await put(events))) == 1


async def test_why_it_did_not_come_is_raised(url_node: UrlNode) -> None:
    error = DiskFull(required=9, available=1, path="/m")
    url_node.fake.streams[PATH] = [HALF, error.envelope()]
    events = EventQueue()
    with pytest.raises(DiskFull) as caught:
        await fetched(url_node.hive, events)
    assert caught.value.details["required"] == 9
    assert await put(events) == [HALF]


@pytest.mark.parametrize("breaks", [True, False])
@pytest.mark.parametrize("last", [[HALF], [HALF, FETCHED]])
async def test_a_stream_that_merely_ends_is_a_failure(
    url_node: UrlNode, breaks: bool, last: list[Event]
) -> None:
    url_node.fake.streams[PATH] = last
    url_node.fake.breaks = breaks
    with pytest.raises(StreamTruncated):
        await fetched(url_node.hive, EventQueue())


async def test_a_hive_that_is_lost_before_it_answers_is_out_of_reach(url_node: UrlNode) -> None:
    url_node.fake.streams[PATH] = [CHOSEN]
    url_node.fake.breaks = True
    wanted = DownloadRequest("hf:owner/repo")
    answer = ask(url_node.hive, ep.HIVE_DOWNLOAD, wanted, EventQueue())
    async with contextlib.aclosing(answer), asyncio.timeout(10):
        with pytest.raises(ConnectionTimeout) as caught:
            await anext(answer)
    assert caught.value.details["port"] == url_node.fake.port
