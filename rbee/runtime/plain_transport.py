"""HTTP/1.1 over asyncio's own streams, one connection for each exchange (RFC 9112).

A command of the keeper then imports neither aiohttp, which takes longer than the rest of its work,
nor http.client.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import urlsplit

from rbee.runtime.concurrency import in_thread
from rbee.runtime.transport import NotHttp, Request

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: .*)?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_NOTHING = re.compile(b"")
_PIECE = 1 << 16


class PlainTransport:
    """Keeps no connection."""

    @contextlib.asynccontextmanager
    async def exchange(self, request: Request, connect_s: float) -> AsyncIterator[_Response]:
        parts = urlsplit(request.url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        address = parts.hostname or "", parts.port or 80
        try:
            sent = _encode(request, target, parts.netloc)
            # On a thread, since a resolver that hangs must not hold up the end of the program.
            connected = await in_thread(partial(socket.create_connection, address, connect_s))
        except UnicodeError:
            raise ConnectionError("this is not the name of a host") from None
        reader, writer = await asyncio.open_connection(sock=connected)
        try:
            writer.write(sent)
            yield await _receive(reader, writer.transport)
        finally:
            writer.transport.abort()

    async def close(self) -> None:
        """Nothing is kept."""


class _Response:
    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        reader: asyncio.StreamReader,
        connection: asyncio.WriteTransport,
    ) -> None:
        self.status = status
        self._headers = headers
        self._reader = reader
        self._connection = connection
        self._chunked = False
        self._begun = False
        self._left: int | None = None  # of a chunk or the body; None: up to the end
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if status in (204, 304):
            self._left = 0
        elif coding is not None:
            if coding.lower() != "chunked":
                raise NotHttp(f"a body encoded as {coding}")
            self._chunked, self._left = True, 0
        elif length is not None:
            if not re.fullmatch("[0-9]+", length):
                raise NotHttp(f"a body of {length} bytes")
            self._left = int(length)

    def header(self, name: str) -> str | None:
        return self._headers.get(name.lower())

    async def read(self) -> bytes:
        if self._chunked and self._left == 0:
            self._left = await self._next_chunk()
        if self._left is None:
            return await self._reader.read(_PIECE)
        if self._left == 0:
            return b""
        piece = await self._reader.read(min(self._left, _PIECE))
        if not piece:
            raise _lost()
        self._left -= len(piece)
        return piece

    async def _next_chunk(self) -> int:
        """The size of the next chunk; 0 at the end of the body."""
        if self._begun:
            _match(_NOTHING, await _line(self._reader))
        self._begun = True
        size = int(_match(_CHUNK_SIZE, await _line(self._reader))[1], 16)
        if size == 0:
            self._chunked = False
            while await _line(self._reader):
                pass  # headers at the end
        return size

    def abort(self) -> None:
        self._connection.abort()


def _encode(request: Request, target: str, host: str) -> bytes:
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines += [f"Content-Length: {len(request.body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + request.body


async def _receive(reader: asyncio.StreamReader, connection: asyncio.WriteTransport) -> _Response:
    """The response, once its head is here."""
    status = 100
    headers: dict[str, str] = {}
    while status < 200:  # it announces another one
        status = int(_match(_STATUS_LINE, await _line(reader))[1])
        headers.clear()
        while line := await _line(reader):
            name, value = _match(_HEADER, line).groups()
            headers[name.decode().lower()] = value.decode("latin-1")
    return _Response(status, headers, reader, connection)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line, without its end."""
    try:
        return (await reader.readuntil(b"\n"))[:-1].removesuffix(b"\r")
    except asyncio.IncompleteReadError:
        raise _lost() from None
    except asyncio.LimitOverrunError:
        raise NotHttp("a line that is too long") from None


def _match(pattern: re.Pattern[bytes], line: bytes) -> re.Match[bytes]:
    found = pattern.fullmatch(line)
    if found is None:
        raise NotHttp("this is not HTTP")
    return found


def _lost() -> ConnectionError:
    return ConnectionError("the connection was lost")
