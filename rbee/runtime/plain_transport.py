"""HTTP/1.1 with h11 over asyncio's own streams.

A command of the keeper then does not import aiohttp, which takes longer than the rest of its work.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import h11

from rbee.contract.errors import RbeeError
from rbee.runtime import bind
from rbee.runtime.client import address
from rbee.runtime.concurrency import in_thread
from rbee.runtime.proof import Challenge, key_in
from rbee.runtime.tls_client import trusting
from rbee.runtime.transport import NotHttp, Request

_PIECE = 1 << 16
# Much shorter than a daemon keeps an idle connection.
_KEPT_S = 5.0
# Scheme, host and port.
_Place: TypeAlias = tuple[str, str, int]


class PlainTransport:
    """Keeps the connection of the last exchange for a few seconds. For https:// it trusts the CAs
    in the file `ca`; see `trusting`."""

    def __init__(self, ca: Path | None = None) -> None:
        self._ca = ca
        self._trusting: ssl.SSLContext | None = None
        self._kept: tuple[_Place, float, _Connection] | None = None

    @contextlib.asynccontextmanager
    async def exchange(self, request: Request, connect_s: float) -> AsyncIterator[_Exchange]:
        place = urlsplit(request.url).scheme, *address(request.url)
        connection = self._take(place) or await self._open(place, connect_s)
        try:
            if authorization := request.headers.get("Authorization"):
                await connection.prove(key_in(authorization), request.url)
            exchange = _Exchange(connection)
            connection.transport.write(exchange.encode(request))
            await exchange.begin()
            yield exchange
            if exchange.is_complete:
                self._keep(place, connection)
        finally:
            if self._kept is None or self._kept[2] is not connection:
                connection.transport.abort()

    async def close(self) -> None:
        if self._kept is not None:
            self._kept[2].transport.abort()
            self._kept = None

    def _take(self, place: _Place) -> _Connection | None:
        kept, self._kept = self._kept, None
        if kept is None:
            return None
        where, since, connection = kept
        if where == place and time.monotonic() - since < _KEPT_S and connection.is_open:
            return connection
        connection.transport.abort()
        return None

    def _keep(self, place: _Place, connection: _Connection) -> None:
        if self._kept is not None:
            self._kept[2].transport.abort()
        self._kept = place, time.monotonic(), connection

    async def _open(self, place: _Place, connect_s: float) -> _Connection:
        """A new connection, encrypted if the scheme says so."""
        scheme, host, port = place
        try:
            # On a thread, since a resolver that hangs must not hold up the end of the program.
            # The resolver takes bytes, too, which typeshed does not say.
            where: Any = bind.resolvable(host), port
            connected = await in_thread(partial(socket.create_connection, where, connect_s))
        except ValueError:
            raise ConnectionError("this is not the name of a host") from None
        try:
            tls = self._tls(host, connect_s) if scheme == "https" else {}
        except RbeeError:
            connected.close()
            raise
        return _Connection(*await asyncio.open_connection(sock=connected, **tls))

    def _tls(self, host: str, handshake_s: float) -> dict[str, Any]:
        self._trusting = self._trusting or trusting(self._ca)
        return {
            "ssl": self._trusting,
            "server_hostname": host,
            "ssl_handshake_timeout": handshake_s,
        }


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.transport = writer.transport
        self._writer = writer  # which would close the connection if it were dropped
        self.http = h11.Connection(h11.CLIENT)
        self._proven_for: str | None = None

    @property
    def is_open(self) -> bool:
        return not self.transport.is_closing() and not self.reader.at_eof()

    async def prove(self, key: str, url: str) -> None:
        """Make sure that the other end knows `key`. Raises NotProven, and OSError."""
        if self._proven_for != key:
            challenge = Challenge(key, url, self.transport.get_extra_info("peername")[:2])
            await challenge.ask(self.reader, self.transport)
            self._proven_for = key


class _Exchange:
    """One request, and its response once `begin` has returned."""

    def __init__(self, connection: _Connection) -> None:
        self.status = 0
        self._headers: dict[bytes, bytes] = {}
        self._reader = connection.reader
        self._connection = connection.transport
        self._http = connection.http
        self._ended = False

    @property
    def is_complete(self) -> bool:
        """Whether the response has ended, and the connection is ready for the next one."""
        if self._http.our_state is self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        return False

    def encode(self, request: Request) -> bytes:
        parts = urlsplit(request.url)
        headers = {**request.headers, "Host": parts.netloc}
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
