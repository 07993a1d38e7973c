"""How a protocol replies: whole, or as a stream that opens in time."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from rbee.contract.errors import ErrorEnvelope, RbeeError
from rbee.runtime.foreign import Refuse
from rbee.runtime.light_aiohttp import web

C = TypeVar("C")

# A client that waits this long gets its headers, and from there on comments.
OPENS_WITHIN_S = 2.0
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC).timestamp()
_LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


async def whole(chunks: AsyncGenerator[C, None]) -> list[C]:
    """Every chunk of a stream, for a reply that is one."""
    async with contextlib.aclosing(chunks):
        return [chunk async for chunk in chunks]


def refused(chunk: object, refuse: Refuse) -> object:
    """What stands in a stream: the chunk, or the protocol's body of the error that it is."""
    if isinstance(chunk, ErrorEnvelope):
        error = RbeeError.from_body(chunk.error)
        return refuse(error, error.status or 500)
    return chunk


def utc(unix: float) -> datetime:
    """A time in seconds since the epoch, from the year 1 to the year 9999."""
    return datetime.fromtimestamp(min(max(unix, _EARLIEST), _LATEST), UTC)


def json_reply(reply: msgspec.Struct) -> web.Response:
    """A reply with this body."""
    return web.Response(body=msgspec.json.encode(reply), content_type="application/json")
