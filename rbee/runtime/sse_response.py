"""The response of a streaming route: events sent as SSE, kept alive, and closed in order."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec

from rbee.contract.errors import ErrorEnvelope, Internal, RbeeError
from rbee.runtime import sse
from rbee.runtime.concurrency import stop
from rbee.runtime.light_aiohttp import web
from rbee.runtime.log import correlation_id

_END: Any = object()
_log = logging.getLogger("http-server")


class StreamForm(msgspec.Struct, frozen=True):
    """How a protocol's stream stands on the wire: what `encode` makes of an event or an error,
    the comment that keeps it alive, if there are comments, and its `last` bytes. A stream that has
    nothing to say for `opens_within_s` seconds is opened all the same."""

    encode: Callable[[Any], bytes] = sse.encode
    content_type: str = sse.CONTENT_TYPE
    keep_alive: bytes = sse.KEEP_ALIVE
    last: bytes = sse.LAST
    opens_within_s: float | None = None


OURS = StreamForm()


async def stream_response(
    request: web.Request,
    source: AsyncIterator[Any],
    over: Coroutine[Any, Any, RbeeError | None],
    keep_alive_s: float,
    form: StreamForm = OURS,
) -> web.StreamResponse:
    """Send what `source` yields until it ends or `over` does, then the last bytes, after the error
    that `over` returns.

    What is raised before the stream is open is raised here. The relay is a task of its own, so that
    an event costs no more than writing it; waiting for timers and for the end happens elsewhere.
    """
    relay = _Relay(request, source, form)
    closing = asyncio.ensure_future(over)
    running = asyncio.create_task(relay.run())
    patience = form.opens_within_s or keep_alive_s
    try:
        try:
            while not running.done() and not closing.done():
                await asyncio.wait(
                    {running, closing}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                if not running.done() and not closing.done():
                    patience = await relay.keep_alive(keep_alive_s)
            is_over = not running.done()
        finally:
            # First: a reader that takes its time to hear of the end holds up nothing.
            await _abandon(running, source)
        return await relay.end(closing.result()) if is_over else running.result()
    except ConnectionError:
        raise asyncio.CancelledError from None  # The reader is gone: there is nobody to answer.
    finally:
        closing.cancel()


class _Relay:
    """Relays one source to one response."""

    def __init__(self, request: web.Request, source: AsyncIterator[Any], form: StreamForm) -> None:
        self._request = request
        self._source = source
        self._form = form
        headers = {"Content-Type": form.content_type, "Cache-Control": "no-store"}
        self._response = web.StreamResponse(headers=headers)
        self._now = asyncio.get_running_loop().time
        self._wrote_at = -math.inf

    async def run(self) -> web.StreamResponse:
        """Relay until the source ends. A slow reader slows the source."""
        event = await self._next()
        await self._response.prepare(self._request)
        while event is not _END:
            if event is not None:
                await self._response.write(self._form.encode(event))
                self._wrote_at = self._now()
            if isinstance(event, ErrorEnvelope):
                break
            event = await self._next()
        return await self.end()

    async def keep_alive(self, silence_s: float) -> float:
        """A comment after so many seconds of silence, once the stream has begun or must begin, if
        the reader has taken what came before. Returns when to look again, in seconds."""
        left_s = self._wrote_at + silence_s - self._now()
        if left_s > 0:
            return left_s
        if self._form.opens_within_s is not None:
            await self._response.prepare(self._request)
        is_behind = self._request.protocol.writing_paused
        if self._response.prepared and self._form.keep_alive and not is_behind:
            await self._response.write(self._form.keep_alive)
        return silence_s

    async def end(self, error: RbeeError | None = None) -> web.StreamResponse:
        """Close the stream with its end mark, after the `error` that ends it. Raises that if the
        stream has not begun."""
        if not self._response.prepared:
            if error is not None:
                raise error
            await self._response.prepare(self._request)
        if error is not None:
            log_refusal(self._request, error)
            await self._response.write(self._form.encode(error.envelope()))
        # Both ends in one piece, so that a client that has read it all can ask the next.
        await self._response.write_eof(self._form.last)
        return self._response

    async def _next(self) -> Any:
        """The next event. Once the stream has begun, an error is an event."""
        try:
            return await self._source.__anext__()
        except StopAsyncIteration:
            return _END
        except RbeeError as error:
            if not self._response.prepared:
                raise
            log_refusal(self._request, error)
            return error.envelope()
        except Exception:
            if not self._response.prepared:
                raise
            return internal(self._request).envelope()


async def _abandon(running: asyncio.Task[Any], source: AsyncIterator[Any]) -> None:
    """Stop the source, so that it has released everything when the handler returns."""
    await stop(running)
    if isinstance(source, AsyncGenerator):
        await source.aclose()


def internal(request: web.Request) -> Internal:
    """The error for an unexpected exception: sent without a traceback, and logged with one."""
    _log.exception("%s %s failed", request.method, request.rel_url.raw_path)
    return Internal(correlation_id=correlation_id.get())


def log_refusal(request: web.Request, error: RbeeError) -> None:
    """Log a refused request in one line, whatever its message contains."""
    message = " ".join(error.message.split())
    fields = request.method, request.rel_url.raw_path, error.code, message
    _log.info("%s %s failed: %s: %s", *fields)
