"""What a route is. The routes themselves stand in `endpoints`."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")


class Endpoint(msgspec.Struct, Generic[RequestT, ReplyT], frozen=True):
    """A route. `{name}` in `path` is a parameter; so are the names in `query`, each of which may be
    left out. `open` routes want no API key."""

    method: str
    path: str
    request: type[RequestT]
    reply: type[ReplyT]
    events: tuple[type, ...] = ()
    status: int = 200
    open: bool = False
    query: tuple[str, ...] = ()


class Nothing(msgspec.Struct, frozen=True):
    """No body."""


class Text(msgspec.Struct, frozen=True):
    """A reply that is no JSON."""
