"""The response of a streaming route: events sent as SSE, kept alive, and closed in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any

from rbee.contract.errors import ErrorEnvelope, Internal, RbeeError
from rbee.contract.events import Event
from rbee.runtime import sse
from rbee.runtime.concurrency import stop
from rbee.runtime.light_aiohttp import web
from rbee.runtime.log import correlation_id

_END: Any = object()
_log = logging.getLogger("http-server")


async def stream_response(
    request: web.Request,
    source: AsyncIterator[Event | None],
    over: Coroutine[Any, Any, RbeeError | None],
    keep_alive_s: float,
) -> web.StreamResponse:
    """Send what `source` yields until it ends or `over` does, then `[DONE]`, after the error that
    `over` returns.

    What is raised before the first event is raised here. The relay is a task of its own, so that an
    event costs no more than writing it; waiting for timers and for the end happens elsewhere.
    """
    relay = _Relay(request, source)
    closing = asyncio.ensure_future(over)
    running = asyncio.create_task(relay.run())
    try:
        while not running.done() and not closing.done():
            await asyncio.wait(
                {running, closing}, timeout=keep_alive_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not running.done() and not closing.done():
                await relay.keep_alive()
        if not running.done():
            await stop(running)
            return await relay.end(closing.result())
        return running.result()
    except ConnectionError:
        raise asyncio.CancelledError from None  # The reader is gone: there is nobody to answer.
    finally:
        closing.cancel()
        await _abandon(running, source)


class _Relay:
    """Relays one source to one response."""

    def __init__(self, request: web.Request, source: AsyncIterator[Event | None]) -> None:
        self._request = request
        self._source = source
        headers = {"Content-Type": sse.CONTENT_TYPE, "Cache-Control": "no-store"}
        self._response = web.StreamResponse(headers=headers)

    async def run(self) -> web.StreamResponse:
        """Relay until the source ends. A slow reader slows the source."""
        event = await anext(self._source, _END)
        await self._response.prepare(self._request)
        while event is not _END:
            if event is not None:
                await self._response.write(sse.encode(event))
            if isinstance(event, ErrorEnvelope):
                break
            event = await self._next()
        return await self.end()

    async def keep_alive(self) -> None:
        """A comment, once the stream has begun."""
        if self._response.prepared:
            await self._response.write(sse.KEEP_ALIVE)

    async def end(self, error: RbeeError | None = None) -> web.StreamResponse:
        """Close the stream with its end mark, after the `error` that ends it. Raises that if the
        stream has not begun."""
        if not self._response.prepared:
            if error is not None:
                raise error
            await self._response.prepare(self._request)
        if error is not None:
            log_refusal(self._request, error)
            await self._response.write(sse.encode(error.envelope()))
        await self._response.write(sse.LAST)
        return self._response

    async def _next(self) -> Event | None:
        """The next event; an error becomes an event, because the stream has begun."""
        try:
            return await anext(self._source, _END)
        except RbeeError as error:
            log_refusal(self._request, error)
            return error.envelope()
        except Exception:
            return internal(self._request).envelope()


async def _abandon(running: asyncio.Task[Any], source: AsyncIterator[Event | None]) -> None:
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
