"""The program of a worker whose model answers as fast as it is told to: a stand-in for many cards.

    [worker]
    command = "/path/to/python -m benchmarks.simulated_worker"

It is the real worker, which loads the real model. Only POST /v1/inference is answered by this file:
`max_tokens` events, the same for everyone, at SIMULATED_TOKENS_PER_S for each stream. All streams
are served by one clock, with one write for each, so that it costs less than who reads it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.events import Accepted, Done, Token
from rbee.contract.tasks import InferenceRequest
from rbee.runtime import sse
from rbee.runtime.light_aiohttp import web
from rbee.worker import routes
from rbee.worker.__main__ import main

_EVERY_S = 1 / float(os.environ.get("SIMULATED_TOKENS_PER_S", "100"))


class Clock:
    """Wakes all streams together, at fixed moments."""

    def __init__(self) -> None:
        self._next = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def tick(self) -> None:
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await self._next.wait()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time()
        while True:
            at += _EVERY_S
            await asyncio.sleep(at - loop.time())
            woken, self._next = self._next, asyncio.Event()
            woken.set()


_clock = Clock()


@web.middleware
async def _answer(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if request.path != ep.WORKER_INFERENCE.path:
        return await handler(request)
    asked = msgspec.json.decode(await request.read(), type=InferenceRequest)
    response = web.StreamResponse(headers={"Content-Type": sse.CONTENT_TYPE})
    await response.prepare(request)
    await response.write(sse.encode(Accepted(asked.request_id or "", 10)))
    for index in range(asked.max_tokens):
        await _clock.tick()
        event = sse.encode(Token(" word", index))
        assert request.transport is not None
        request.transport.write(b"%x\r\n%b\r\n" % (len(event), event))
    done = Done(True, asked.max_tokens, 1.0, 10, 0, 1.0, 1.0, "MAX_TOKENS")
    await response.write(sse.encode(done))
    await response.write_eof(sse.LAST)
    return response


def _add(app: web.Application) -> None:
    _routes(app)
    app.middlewares.append(_answer)


_routes, routes.add = routes.add, _add
if __name__ == "__main__":
    main()
