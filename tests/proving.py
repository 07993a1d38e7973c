"""For servers of a test: the proof that they know a key, as every daemon gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from rbee.contract.endpoints import PROOF, Nothing
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.proof_route import proving

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]


def knows(key: Callable[[], str]) -> Middleware:
    """A middleware that answers GET /v1/auth/proof with what `key` returns then."""

    @web.middleware
    async def prove(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path != PROOF.path:
            return await handler(request)
        proof = await proving(Lifecycle("rbee-hive", None, key()))(request, Nothing())
        return web.Response(body=msgspec.json.encode(proof), content_type="application/json")

    return prove
