"""HTTP with aiohttp, which keeps connections for later exchanges: for the daemons."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator
from typing import Any

from rbee.runtime.light_aiohttp import aiohttp
from rbee.runtime.proof import Challenge, key_in
from rbee.runtime.transport import NotHttp, Request

# Between two exchanges. A daemon closes its end later: `rbee.runtime.connections`.
_KEPT_S = 60.0


class AiohttpTransport:
    """Opens its session with the first exchange."""

    def __init__(self, far: str | None = None) -> None:
        """`far` is the URL at the far end, if the connections go through a tunnel."""
        self._far = far
        self._session: aiohttp.ClientSession | None = None

    @contextlib.asynccontextmanager
    async def exchange(self, request: Request, connect_s: float) -> AsyncIterator[_Response]:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=_Proven(self._far))
        try:
            response = await self._session.request(
                request.method,
                request.url,
                data=request.body or None,
                headers=request.headers,
                timeout=aiohttp.ClientTimeout(sock_connect=connect_s),
                allow_redirects=False,
            )
        except aiohttp.ClientError as error:
            raise _translated(error) from None
        try:
            yield _Response(response)
        finally:
            response.close()  # a connection whose response is complete is back in the pool already

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


class _Proven(aiohttp.TCPConnector):
    """Hands out a connection for a request with a key only after the other end has proven that it
    knows the key. All requests of a session have the same one."""

    def __init__(self, far: str | None) -> None:
        super().__init__(limit=0, keepalive_timeout=_KEPT_S)
        self._far = far
        self._proven: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.connector.Connection:
        """As every connector does. Raises NotProven as well."""
        connection = await super().connect(req, traces, timeout)
        authorization = req.headers.get("Authorization")
        transport = connection.transport
        if authorization is None or transport is None or transport in self._proven:
            return connection
        try:
            peer = transport.get_extra_info("peername")[:2]
            await _ask(Challenge(key_in(authorization), str(req.url), peer, self._far), transport)
        except BaseException:
            connection.close()
            raise
        self._proven.add(transport)
        return connection


async def _ask(challenge: Challenge, transport: asyncio.Transport) -> None:
    """aiohttp's protocol is taken off the connection meanwhile."""
    theirs = transport.get_protocol()
    reader = asyncio.StreamReader()
    transport.set_protocol(asyncio.StreamReaderProtocol(reader))
    try:
        await challenge.ask(reader, transport)
    finally:
        transport.set_protocol(theirs)


class _Response:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status

    def header(self, name: str) -> str | None:
        return self._response.headers.get(name)

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, RuntimeError) as error:
            # RuntimeError is aiohttp's word for a session that was closed meanwhile.
            raise _translated(error) from None

    def abort(self) -> None:
        connection = self._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()


def _translated(error: Exception) -> OSError | NotHttp:
    """aiohttp's error as the system's, or else as a lost connection or NotHttp, whose own words may
    hold what was sent: the key."""
    if isinstance(error, OSError):
        return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(error, aiohttp.ClientResponseError):
        return NotHttp("this is not HTTP")
    lost = isinstance(error, aiohttp.ClientPayloadError)
    return ConnectionError("the connection was lost" if lost else str(error))
