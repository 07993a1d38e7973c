"""HTTP/1.1 with h11 over asyncio's own streams, one connection for each exchange.

A command of the keeper then does not import aiohttp, which takes longer than the rest of its work.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import urlsplit

import h11

from rbee.runtime.concurrency import in_thread
from rbee.runtime.transport import NotHttp, Request

_PIECE = 1 << 16


class PlainTransport:
    """Keeps no connection."""

    @contextlib.asynccontextmanager
    async def exchange(self, request: Request, connect_s: float) -> AsyncIterator[_Exchange]:
        parts = urlsplit(request.url)
        address = parts.hostname or "", parts.port or 80
        try:
            # On a thread, since a resolver that hangs must not hold up the end of the program.
            connected = await in_thread(partial(socket.create_connection, address, connect_s))
        except UnicodeError:
            raise ConnectionError("this is not the name of a host") from None
        reader, writer = await asyncio.open_connection(sock=connected)
        exchange = _Exchange(reader, writer.transport)
        try:
            writer.write(exchange.encode(request))
            await exchange.begin()
            yield exchange
        finally:
            exchange.abort()

    async def close(self) -> None:
        """Nothing is kept."""


class _Exchange:
    """One request, and its response once `begin` has returned."""

    def __init__(self, reader: asyncio.StreamReader, connection: asyncio.WriteTransport) -> None:
        self.status = 0
        self._headers: dict[bytes, bytes] = {}
        self._reader = reader
        self._connection = connection
        self._http = h11.Connection(h11.CLIENT)
        self._ended = False

    def encode(self, request: Request) -> bytes:
        parts = urlsplit(request.url)
        headers = {**request.headers, "Host": parts.netloc, "Connection": "close"}
        headers["Content-Length"] = str(len(request.body))
        path = parts.path or "/"
        target = f"{path}?{parts.query}" if parts.query else path
        events = (
            h11.Request(method=request.method, target=target, headers=list(headers.items())),
            h11.Data(data=request.body),
            h11.EndOfMessage(),
        )
        return b"".join(self._http.send(event) or b"" for event in events)

    async def begin(self) -> None:
        while not isinstance(event := await self._next(), h11.Response):
            pass  # one that only announces another
        self.status = event.status_code
        self._headers = dict(event.headers)

    def header(self, name: str) -> str | None:
        value = self._headers.get(name.lower().encode())
        return None if value is None else value.decode("latin-1")

    async def read(self) -> bytes:
        while not self._ended:
            event = await self._next()
            if isinstance(event, h11.Data):
                return bytes(event.data)
            self._ended = isinstance(event, h11.EndOfMessage)
        return b""

    def abort(self) -> None:
        self._connection.abort()

    async def _next(self) -> h11.Event:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_PIECE))
        except h11.RemoteProtocolError:  # its message may hold what was sent: the key
            begun, ended = self._http.trailing_data
            if ended and (self.status or b"HTTP/".startswith(begun[:5])):
                raise ConnectionError("the connection was lost") from None
            raise NotHttp("this is not HTTP") from None
        if isinstance(
            event, h11.Response | h11.InformationalResponse | h11.Data | h11.EndOfMessage
        ):
            return event
        raise ConnectionError("the connection was lost")
