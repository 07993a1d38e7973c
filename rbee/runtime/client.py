"""The HTTP client of all programs: one endpoint, one message, one reply or one stream."""

from __future__ import annotations

import asyncio
import contextlib
import urllib.parse
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, TypeVar

import msgspec

from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import (
    ConnectionTimeout,
    ErrorEnvelope,
    NotOurs,
    RbeeError,
    StreamTruncated,
)
from rbee.contract.events import DONE, Event
from rbee.runtime import debug_trace, sse
from rbee.runtime.error_text import strerror
from rbee.runtime.log import CORRELATION_HEADER, correlation_id

if TYPE_CHECKING:
    import aiohttp

Q = TypeVar("Q")
R = TypeVar("R")


class Client:
    """One peer. Use it as an asynchronous context manager.

    Raises the errors that the peer names, CONNECTION_TIMEOUT where nothing answers, and
    STREAM_TRUNCATED where a stream ends without `[DONE]` or is silent for `silence_s`.
    """

    def __init__(self, url: str, key: str | None, connect_s: float, silence_s: float) -> None:
        self.url = url.rstrip("/")
        self._key = key
        self._connect_s = connect_s
        self._silence_s = silence_s
        self._session: aiohttp.ClientSession | None = None
        self._open: set[aiohttp.ClientResponse] = set()
        self._waiting: set[asyncio.Timeout] = set()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection to the peer. A reader that waits gets an error."""
        session, self._session = self._session, None
        if session is not None:
            self.cut()
            await asyncio.sleep(0)  # readers wake on a cut connection, not on a closed session
            await session.close()

    def cut(self) -> None:
        """Break every exchange that is under way: the peer is known to be out of reach, which a
        connection that is only silent would not tell for long."""
        now = asyncio.get_running_loop().time()
        for waiting in self._waiting:
            if not waiting.expired():  # by a cut before
                waiting.reschedule(now)
        for response in self._open:
            if response.connection is not None and response.connection.transport is not None:
                response.connection.transport.abort()

    async def call(
        self,
        endpoint: Endpoint[Q, R],
        message: Q | None = None,
        *,
        within_s: float | None = None,
        **names: str,
    ) -> R:
        """Ask once. `names` fill the path's parameters and the query. The whole exchange ends
        within the endpoint's own deadline, or `within_s` if the caller has another."""
        deadline_s = endpoint.within_s if within_s is None else within_s
        body = await self._read(endpoint, message, deadline_s, names)
        if endpoint.status == 204 or endpoint.reply is Nothing:
            return endpoint.reply()
        try:
            return msgspec.json.decode(body, type=endpoint.reply)
        except msgspec.MsgspecError as error:
            raise self._not_ours(str(error)) from None

    async def _read(
        self, endpoint: Endpoint[Q, R], message: Q | None, within_s: float, names: Mapping[str, str]
    ) -> bytes:
        """The body of a successful response."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=within_s, sock_connect=self._connect_s)
        async with self._ask(endpoint, message, timeout, names) as response:
            try:
                return await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise self._unreachable(error) from None

    @contextlib.asynccontextmanager
    async def stream(
        self, endpoint: Endpoint[Q, R], message: Q | None = None, **names: str
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """The endpoint's events, up to `[DONE]`. Leaving the block closes the connection. An error
        event is raised as the error that it names."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(sock_connect=self._connect_s, sock_read=self._silence_s)
        async with self._ask(
            endpoint, message, timeout, names, accept=sse.CONTENT_TYPE
        ) as response:
            if response.content_type != sse.CONTENT_TYPE:
                raise self._not_ours(f"{response.content_type} in place of a stream")
            try:
                yield self._events(response)
            finally:
                response.close()

    @contextlib.asynccontextmanager
    async def _ask(
        self,
        endpoint: Endpoint[Q, R],
        message: Q | None,
        timeout: aiohttp.ClientTimeout,
        names: Mapping[str, str],
        accept: str = "*/*",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        import aiohttp

        self._check_address()
        if self._session is None:
            self._session = aiohttp.ClientSession()
        traced = self._trace(endpoint, names)
        try:
            async with self._breakable():
                response = await self._session.request(
                    endpoint.method,
                    self.url + endpoint.path.format(**names),
                    params=query(endpoint, names),
                    data=None if message is None else msgspec.json.encode(message),
                    headers={**self._headers(endpoint), "Accept": accept},
                    timeout=timeout,
                    allow_redirects=False,
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            traced.failed(reason(error))
            raise self._unreachable(error) from None
        traced.answered(response.status, response.headers.get(CORRELATION_HEADER))
        self._open.add(response)
        try:
            async with response:
                if response.status >= 300:
                    raise self._error(response.status, await _body(response))
                yield response
        finally:
            self._open.discard(response)

    @contextlib.asynccontextmanager
    async def _breakable(self) -> AsyncIterator[None]:
        """An exchange whose answer has not begun: `cut` ends it with a TimeoutError."""
        async with asyncio.timeout(None) as waiting:
            self._waiting.add(waiting)
            try:
                yield
            finally:
                self._waiting.discard(waiting)

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
        import aiohttp

        parser = sse.Parser()
        stream_trace = debug_trace.StreamTrace()
        try:
            async for chunk in response.content.iter_any():
                for raw in parser.feed(chunk):
                    if raw.data == DONE:
                        stream_trace.end()
                        return
                    event = sse.decode(raw)
                    if event is not None:
                        stream_trace.take(event)
                        if isinstance(event, ErrorEnvelope):
                            raise RbeeError.from_body(event.error)
                        yield event
        except TimeoutError:
            said = f"The stream was silent for {self._silence_s:g} s."
            raise StreamTruncated(said, tokens=0) from None
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            # RuntimeError is aiohttp's word for a session that was closed meanwhile.
            raise StreamTruncated(f"The stream broke: {reason(error)}.", tokens=0) from None
        except (msgspec.MsgspecError, ValueError) as error:
            raise self._not_ours(str(error)) from None
        raise StreamTruncated("The stream ended without its end mark.", tokens=0)

    def _check_address(self) -> None:
        try:
            address(self.url)
        except ValueError as error:
            raise self._not_ours(str(error)) from None

    def _trace(
        self, endpoint: Endpoint[Q, R], names: Mapping[str, str]
    ) -> debug_trace.RequestTrace:
        """The entry of this request in the trace of a command."""
        traced = debug_trace.RequestTrace(f"{endpoint.method} {endpoint.path.format(**names)}")
        if self._key is not None and not endpoint.open:
            traced.hide(self._key)
        return traced

    def _headers(self, endpoint: Endpoint[Q, R]) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._key is not None and not endpoint.open:
            # What answers on an open route may be anybody: the key is not for it.
            headers["Authorization"] = f"Bearer {self._key}"
        if known := correlation_id.get():
            headers[CORRELATION_HEADER] = known
        return headers

    def _error(self, status: int, body: bytes | None) -> RbeeError:
        try:
            envelope = msgspec.json.decode(body or b"", type=ErrorEnvelope)
        except msgspec.MsgspecError:
            return self._not_ours(f"HTTP {status}")
        return RbeeError.from_body(envelope.error)

    def _unreachable(self, error: Exception) -> ConnectionTimeout:
        host, port = address(self.url)
        message = f"No answer from {self.url}: {reason(error)}."
        return ConnectionTimeout(message, host=host, port=port, attempts=1)

    def _not_ours(self, reason: str) -> NotOurs:
        return NotOurs(
            f"The program at {self.url} does not speak the protocol of rbee: {reason}.",
            correlation_id=correlation_id.get(),
        )


async def _body(response: aiohttp.ClientResponse) -> bytes | None:
    import aiohttp

    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        return await response.read()
    return None


def query(endpoint: Endpoint[Q, R], names: Mapping[str, str]) -> dict[str, str]:
    """The query of the URL."""
    return {name: names[name] for name in endpoint.query if name in names}


def address(url: str) -> tuple[str, int]:
    """Host and port of a program's URL. Raises ValueError if it is not one."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{url!r} is not http://HOST:PORT")
    return parts.hostname, parts.port or 80


def reason(error: Exception) -> str:
    """Why an exchange failed, in a few words."""
    if type(error).__name__ == "ClientPayloadError":  # aiohttp's, which may not be there
        return "the connection was lost"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    cause = getattr(error, "os_error", error)
    return strerror(cause) if isinstance(cause, OSError) else str(cause) or type(cause).__name__
