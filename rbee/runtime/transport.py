"""What a client needs to speak HTTP: an exchange of one request and its response.

There are two transports: `aiohttp_transport` keeps connections for later exchanges, and
`plain_transport` is quick to import.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec


class NotHttp(ValueError):
    """What came back is not HTTP."""


class Request(msgspec.Struct, frozen=True):
    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class Response(Protocol):
    """A response whose head has arrived."""

    @property
    def status(self) -> int: ...

    def header(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name."""

    async def read(self) -> bytes:
        """The next bytes of the body, as they arrive; b"" at its end. Raises OSError if the
        connection is lost before, and NotHttp."""

    def abort(self) -> None:
        """Break the connection: who reads gets an error, or an early end."""


class Transport(Protocol):
    def exchange(self, request: Request, connect_s: float) -> AbstractAsyncContextManager[Response]:
        """Send the request, and wait for the head of the response, but only `connect_s` for the
        connection. A redirect is a response. To leave before the end of the body closes the
        connection. Raises OSError and NotHttp."""

    async def close(self) -> None:
        """Close the connections that are kept."""
