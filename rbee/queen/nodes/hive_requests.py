"""Requests that take a hive some time. The hive streams its narration and its answer on one
connection, so nothing arrives late or out of order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import TypeVar

from msgspec.structs import replace

from rbee.contract import endpoints as ep
from rbee.contract.errors import (
    ConnectionTimeout,
    DownloadFailed,
    ModelGated,
    StreamTruncated,
)
from rbee.contract.events import Download, Event, Narration
from rbee.contract.model_ref import shown
from rbee.contract.models import DownloadReply, DownloadRequest
from rbee.queen.nodes import model_sources
from rbee.queen.nodes.hive import Hive
from rbee.runtime.client import address
from rbee.runtime.event_queue import EventQueue
from rbee.runtime.narration import Narrator, Say

Q = TypeVar("Q")
R = TypeVar("R")

_PROVISIONER = "model-provisioner"


async def ask(
    hive: Hive, endpoint: ep.Endpoint[Q, R], message: Q, events: EventQueue
) -> AsyncGenerator[Event, None]:
    """The events of the hive's answer. Its narration goes into `events`, with the node's name.
    Raises CONNECTION_TIMEOUT if the hive is lost, or is slower than the endpoint's deadline,
    before anything but narration has come."""
    begun = False
    # The hive's main client may be closed meanwhile, which does not wake a reader.
    client = hive.separate_client()
    host, port = address(client.url)
    try:
        async with (
            asyncio.timeout(endpoint.within_s) as deadline,
            client,
            client.stream(endpoint, message) as answer,
        ):
            async for event in answer:
                if isinstance(event, Narration):
                    events.put_nowait(replace(event, node=hive.node))
                else:
                    deadline.reschedule(None)  # from here on only silence is bounded
                    begun = True
                    yield event
    except StreamTruncated as error:
        if begun:
            raise
        lost = f"The hive on {hive.node} was lost: {error.message}"
        raise ConnectionTimeout(lost, host=host, port=port, attempts=1) from None
    except TimeoutError:
        slow = f"The hive on {hive.node} did not answer within {endpoint.within_s:g} s."
        raise ConnectionTimeout(slow, host=host, port=port, attempts=1) from None


async def fetch_model(hive: Hive, wanted: DownloadRequest, events: EventQueue) -> DownloadReply:
    """Wait until the model is on the node; with `detach`, until its download has begun. It comes
    from another node whose hive runs and has it, or from the Hub. If that does not send it, the
    hives of the other nodes are started. Raises the hive's error if it can't be fetched."""
    say = Narrator(events.put_nowait, hive.node).say
    others = hive.others()
    try:
        async with model_sources.offered(hive, wanted, others) as sources:
            return await _fetch_model(hive, replace(wanted, sources=sources), events, say)
    except (DownloadFailed, ModelGated):
        started = await model_sources.start(others, say)
        async with model_sources.offered(hive, wanted, started) as sources:
            if not sources:
                raise
            return await _fetch_model(hive, replace(wanted, sources=sources), events, say)


async def _fetch_model(
    hive: Hive, wanted: DownloadRequest, events: EventQueue, say: Say
) -> DownloadReply:
    reply, complete = None, None
    async with contextlib.aclosing(ask(hive, ep.HIVE_DOWNLOAD, wanted, events)) as answer:
        async for event in answer:
            if isinstance(event, DownloadReply):
                reply = event
            elif isinstance(event, Download):
                events.put_nowait(event)
                complete = event if event.stage == "complete" else None
    if reply is None or (reply.local_path is None and complete is None and not wanted.detach):
        raise StreamTruncated("The hive did not say how the download ended.", tokens=0)
    if reply.local_path is not None:
        say(_PROVISIONER, "📦", f"model provisioning: {shown(reply.reference)} is on disk")
    elif complete is not None:
        checked = f"{complete.local_path} is whole ({complete.checked} checked)"
        say(_PROVISIONER, "✅", f"model provisioning: {checked}")
    return reply
