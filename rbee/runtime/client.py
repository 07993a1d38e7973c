"""The HTTP client of all programs: one endpoint, one message, one reply or one stream."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from typing import TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import (
    ConnectionRefused,
    ConnectionTimeout,
    ErrorEnvelope,
    InvalidApiKey,
    KeyNotProven,
    NotOurs,
    RbeeError,
    StreamSilent,
    StreamTruncated,
)
from rbee.contract.events import DONE, Event
from rbee.runtime import bind, debug_trace, sse
from rbee.runtime.concurrency import in_thread
from rbee.runtime.error_text import is_refused, strerror
from rbee.runtime.log import CORRELATION_HEADER, correlation_id
from rbee.runtime.proof import NotProven
from rbee.runtime.tls_client import not_trusted
from rbee.runtime.transport import NotHttp, Request, Response, Transport

Q = TypeVar("Q")
R = TypeVar("R")

_PORTS = {"http": 80, "https": 443}
# The end of a stream's response follows its last event at once.
_END_WITHIN_S = 0.1


class Client:
    """One peer. Use it as an asynchronous context manager.

    Before the key is sent, or anything that wants one, the peer has proven that it knows the key.
    Raises KEY_NOT_PROVEN if it can't, INVALID_API_KEY if it has another one, the errors that it
    names, CONNECTION_REFUSED where nothing listens, CONNECTION_TIMEOUT where nothing answers, and
    STREAM_TRUNCATED where a stream ends without `[DONE]`, or as StreamSilent if nothing came for
    `silence_s`.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        connect_s: float,
        silence_s: float,
        transport: Transport | None = None,
        far: str | None = None,
    ) -> None:
        """The transport is aiohttp's unless another one is given. `far` is the URL at the far end
        of a tunnel, if `url` is the near one."""
        self.url = url.rstrip("/")
        self.far = far
        self._key = key
        self._connect_s = connect_s
        self._silence_s = silence_s
        self._transport = transport or _aiohttp(far)
        self._open: set[Response] = set()
        self._waiting: set[asyncio.Timeout] = set()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection to the peer. A reader that waits gets an error."""
        self.cut()
        await asyncio.sleep(0)  # readers wake on a cut connection, not on a closed transport
        await self._transport.close()

    def cut(self) -> None:
        """Break every exchange that is under way: the peer is known to be out of reach, which a
        connection that is only silent would not tell for long."""
        now = _now()
        for waiting in self._waiting:
            if not waiting.expired():  # by a cut before
                waiting.reschedule(now)
        for response in self._open:
            response.abort()

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
        deadline = _now() + (endpoint.within_s if within_s is None else within_s)
        async with self._ask(endpoint, message, deadline, names) as response:
            try:
                body = await self._body(response, deadline)
            except OSError as error:
                raise self._unreachable(error) from None
            except NotHttp as error:
                raise self._not_ours(str(error)) from None
        if endpoint.status == 204 or endpoint.reply is Nothing:
            return endpoint.reply()
        try:
            return msgspec.json.decode(body, type=endpoint.reply)
        except msgspec.MsgspecError as error:
            raise self._not_ours(str(error)) from None

    @contextlib.asynccontextmanager
    async def stream(
        self, endpoint: Endpoint[Q, R], message: Q | None = None, **names: str
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """The endpoint's events, up to `[DONE]`. Leaving the block closes the connection. An error
        event is raised as the error that it names."""
        async with self._stream(endpoint, message, names, sse.LastEvent()) as events:
            yield events

    @contextlib.asynccontextmanager
    async def follow(
        self, endpoint: Endpoint[Q, R], last: sse.LastEvent
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """The same, beginning after the `last` event, which moves on with each that is read."""
        async with self._stream(endpoint, None, {}, last) as events:
            yield events

    @contextlib.asynccontextmanager
    async def _stream(
        self,
        endpoint: Endpoint[Q, R],
        message: Q | None,
        names: Mapping[str, str],
        last: sse.LastEvent,
    ) -> AsyncIterator[AsyncIterator[Event]]:
        more = {"Accept": sse.CONTENT_TYPE}
        if last.id:
            more[sse.LAST_EVENT_HEADER] = last.id
        deadline = _now() + self._silence_s
        async with self._ask(endpoint, message, deadline, names, more) as response:
            found = response.header("Content-Type") or "no content type"
            found = found.partition(";")[0].strip().lower()
            if found != sse.CONTENT_TYPE:
                raise self._not_ours(f"{found} in place of a stream")
            yield self._events(response, last)

    @contextlib.asynccontextmanager
    async def _ask(
        self,
        endpoint: Endpoint[Q, R],
        message: Q | None,
        deadline: float,
        names: Mapping[str, str],
        headers: Mapping[str, str] = {"Accept": "*/*"},
    ) -> AsyncIterator[Response]:
        """A successful response, whose head is here before the deadline."""
        request = Request(
            endpoint.method,
            self._url_of(endpoint, names),
            {**self._headers(endpoint), **headers},
            b"" if message is None else msgspec.json.encode(message),
        )
        traced = self._trace(endpoint, names)
        async with contextlib.AsyncExitStack() as stack:
            exchange = self._transport.exchange(request, self._connect_s)
            try:
                async with self._breakable(deadline):
                    response = await stack.enter_async_context(exchange)
            except OSError as error:
                traced.failed(reason(error))
                raise self._unreachable(error) from None
            except NotHttp as error:
                traced.failed(str(error))
                raise self._not_ours(str(error)) from None
            except NotProven as error:
                traced.failed(error.reason)
                raise await self._unproven(error) from None
            traced.answered(response.status, response.header(CORRELATION_HEADER))
            stack.enter_context(self._cuttable(response))
            if response.status >= 300 and response.status != endpoint.degraded:
                body = b""
                with contextlib.suppress(OSError, NotHttp):
                    body = await self._body(response, deadline)
                raise self._error(response.status, body)
            yield response

    async def _body(self, response: Response, deadline: float) -> bytes:
        """All of it."""
        pieces = []
        async with self._breakable(deadline):
            while piece := await response.read():
                pieces.append(piece)
        return b"".join(pieces)

    @contextlib.asynccontextmanager
    async def _breakable(self, deadline: float) -> AsyncIterator[None]:
        """Ends with a TimeoutError at the deadline, or when `cut` is called."""
        async with asyncio.timeout_at(deadline) as waiting:
            self._waiting.add(waiting)
            try:
                yield
            finally:
                self._waiting.discard(waiting)

    @contextlib.contextmanager
    def _cuttable(self, response: Response) -> Iterator[None]:
        self._open.add(response)
        try:
            yield
        finally:
            self._open.discard(response)

    async def _events(self, response: Response, last: sse.LastEvent) -> AsyncIterator[Event]:
        parser = sse.Parser()
        stream_trace = debug_trace.StreamTrace()
        silence = _Silence(response, self._silence_s)
        try:
            while chunk := await silence.read():
                for raw in parser.feed(chunk):
                    if raw.data == DONE:
                        stream_trace.end()
                        await _read_to_end(response)
                        return
                    last.move(raw)
                    event = sse.decode(raw)
                    if event is not None:
                        stream_trace.take(event)
                        if isinstance(event, ErrorEnvelope):
                            raise RbeeError.from_body(event.error)
                        yield event
        except OSError as error:
            if silence.is_over:
                said = f"The stream was silent for {self._silence_s:g} s."
                raise StreamSilent(said, tokens=0) from None
            raise StreamTruncated(f"The stream broke: {reason(error)}.", tokens=0) from None
        except (msgspec.MsgspecError, ValueError) as error:
            raise self._not_ours(str(error)) from None
        finally:
            silence.end()
        raise StreamTruncated("The stream ended without its end mark.", tokens=0)

    def _url_of(self, endpoint: Endpoint[Q, R], names: Mapping[str, str]) -> str:
        """Raises INTERNAL if the peer's address is not one."""
        try:
            address(self.url)
        except ValueError as error:
            raise self._not_ours(str(error)) from None
        quoted = {name: quote(value, safe="") for name, value in names.items()}
        query = urlencode({name: names[name] for name in endpoint.query if name in names})
        return self.url + endpoint.path.format(**quoted) + (f"?{query}" if query else "")

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

    def _error(self, status: int, body: bytes) -> RbeeError:
        try:
            envelope = msgspec.json.decode(body, type=ErrorEnvelope)
        except msgspec.MsgspecError:
            return self._not_ours(f"HTTP {status}")
        return RbeeError.from_body(envelope.error)

    def _unreachable(self, error: OSError) -> RbeeError:
        host, port = address(self.url)
        if isinstance(error, ssl.SSLError):
            return not_trusted(error, host, port)
        message = f"No answer from {self.url}: {reason(error)}."
        kind = ConnectionRefused if is_refused(error) else ConnectionTimeout
        return kind(message, host=host, port=port, attempts=1)

    async def _unproven(self, error: NotProven) -> RbeeError:
        where = urlsplit(self.far or self.url).netloc
        holder = None
        if error.peer is not None:
            holder = await in_thread(partial(bind.local_holder, *error.peer))
        who = f" It is {holder}." if holder else ""
        if error.has_another:
            said = f"{where} does not accept the API key: it has another one, so none was sent."
            return InvalidApiKey(said + who, host=where)
        return KeyNotProven(
            f"What listens at {where} can't prove that it has the API key: {error.reason}. "
            f"Nothing was sent to it.{who}",
            address=where,
            holder=holder,
            **({"hint": error.hint} if error.hint else {}),
        )

    def _not_ours(self, reason: str) -> NotOurs:
        return NotOurs(
            f"The program at {self.url} does not speak the protocol of rbee: {reason}.",
            correlation_id=correlation_id.get(),
        )


class _Silence:
    """Breaks a response whose reader has waited for `limit_s` seconds in vain; `is_over` then. One
    timer for the whole stream costs less than a deadline for each read."""

    def __init__(self, response: Response, limit_s: float) -> None:
        self.is_over = False
        self._response = response
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._waits_since: float | None = None
        self._timer = self._loop.call_later(limit_s, self._look)

    async def read(self) -> bytes:
        """The next bytes of the response. Raises OSError, also once the silence is over."""
        self._waits_since = self._loop.time()
        piece = await self._response.read()
        self._waits_since = None
        return piece

    def end(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        left = self._limit_s - (0 if self._waits_since is None else now - self._waits_since)
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self.is_over = True
            self._response.abort()


def address(url: str) -> tuple[str, int]:
    """Host and port of a program's URL. Raises ValueError if it is not one."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not http://HOST:PORT or https://HOST:PORT")
    return parts.hostname, parts.port or _PORTS[parts.scheme]


def reason(error: OSError) -> str:
    """Why an exchange failed, in a few words."""
    return "no answer in time" if isinstance(error, TimeoutError) else strerror(error)


async def _read_to_end(response: Response) -> None:
    """So that the next request can take the same connection, which is proven already. A response
    that goes on loses its connection instead."""
    with contextlib.suppress(OSError, NotHttp):
        async with asyncio.timeout(_END_WITHIN_S):
            while await response.read():
                pass


def _now() -> float:
    return asyncio.get_running_loop().time()


def _aiohttp(far: str | None) -> Transport:
    """Imported only where it is used."""
    from rbee.runtime.aiohttp_transport import AiohttpTransport

    return AiohttpTransport(far)
