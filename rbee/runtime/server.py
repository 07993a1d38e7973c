"""The HTTP server of all daemons: keys, correlation ids, errors and streams, each in one place."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace

from rbee.contract.daemons import Ack
from rbee.contract.endpoints import PROOF, SHUTDOWN, Endpoint, Nothing, Text
from rbee.contract.errors import (
    BodyTimeout,
    InvalidApiKey,
    InvalidRequest,
    NotAllowed,
    RbeeError,
    ShuttingDown,
    UnsupportedBody,
    WrongRole,
)
from rbee.contract.events import Event
from rbee.contract.keys import Role
from rbee.contract.validation import decode
from rbee.runtime import cors, sse
from rbee.runtime.concurrency import stop
from rbee.runtime.connections import Connection
from rbee.runtime.foreign import ForeignRoutes, Refuse
from rbee.runtime.keyring import OPERATOR, Caller, caller
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.light_aiohttp import web
from rbee.runtime.log import CORRELATION_HEADER, correlation_id, key_name
from rbee.runtime.proof_route import proving
from rbee.runtime.sse_response import OURS, StreamForm, internal, log_refusal, stream_response
from rbee.runtime.unknown_route import nearest, unknown_route
from rbee.runtime.web_pages import is_own_name, is_welcome

Q = TypeVar("Q")
R = TypeVar("R")
_Next: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

LIFECYCLE: web.AppKey[Lifecycle] = web.AppKey("lifecycle", Lifecycle)
_OPEN: web.AppKey[set[str]] = web.AppKey("open", set)
_ROLES: web.AppKey[dict[web.AbstractRoute, Role]] = web.AppKey("roles", dict)
_KEEP_ALIVE_S: web.AppKey[float] = web.AppKey("keep_alive_s", float)
FOREIGN: web.AppKey[ForeignRoutes] = web.AppKey("foreign", ForeignRoutes)

LARGEST_BODY = 16 << 20
KEEP_ALIVE_S = 10.0
_ENCODING, _PLAIN = "Content-Encoding", "identity"
_TYPE, _JSON = "Content-Type", "application/json"
# JSON, or any bytes, which is also the type of a body that names none: some clients send JSON so.
_TAKEN = (_JSON, "application/octet-stream")
# What a browser lets a page send to any address without asking there first (the Fetch standard).
_OF_PAGES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
# The largest body over a slow wireless network.
_BODY_S = 60.0
_log = logging.getLogger("http-server")


def application(
    lifecycle: Lifecycle, largest_body: int = LARGEST_BODY, keep_alive_s: float = KEEP_ALIVE_S
) -> web.Application:
    """An application that treats keys, errors and correlation ids as every daemon does.

    `largest_body` is in bytes; a stream that is silent for `keep_alive_s` seconds sends a comment.
    """
    app = web.Application(middlewares=[_correlate, _errors, _guard], client_max_size=largest_body)
    app[_KEEP_ALIVE_S] = keep_alive_s
    app[LIFECYCLE] = lifecycle
    app[_OPEN] = set()
    app[_ROLES] = {}
    app[FOREIGN] = ForeignRoutes()
    app.router.register_resource(app[FOREIGN])
    app.on_response_prepare.append(_name)
    app.on_response_prepare.append(_let_pages_read)
    answer(app, PROOF, proving(lifecycle))
    return app


def answer(
    app: web.Application,
    endpoint: Endpoint[Q, R],
    handler: Callable[[web.Request, Q], Coroutine[Any, Any, R]],
    is_degraded: Callable[[R], bool] = lambda _: False,
) -> None:
    """Serve `endpoint`: decode and check the body, call `handler`, encode its reply, which
    `is_degraded` may send with the endpoint's other status."""

    async def handle(request: web.Request) -> web.Response:
        message = await _message(request, endpoint)
        reply = await unless_revoked(request, handler(request, message))
        response = _reply(endpoint, reply)
        if endpoint.degraded is not None and is_degraded(reply):
            response.set_status(endpoint.degraded)
        return response

    _readable(app, endpoint, handle)


def text(
    app: web.Application,
    endpoint: Endpoint[Nothing, Text],
    handler: Callable[[web.Request], Awaitable[str]],
) -> None:
    """Serve `endpoint` with a text as it is."""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=await handler(request))

    _readable(app, endpoint, handle)


def stream(
    app: web.Application,
    endpoint: Endpoint[Q, Nothing],
    handler: Callable[[web.Request, Q], AsyncIterator[Event | sse.Numbered | None]],
) -> None:
    """Serve `endpoint` as a stream of what `handler` yields, closed by `[DONE]`.

    What is raised before the first event becomes an HTTP status, afterwards an `error` event. An
    event of None opens the stream with nothing to say yet. A reader that goes away cancels the
    handler; one that is slow holds it up.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        return await _stream_response(request, handler(request, await _message(request, endpoint)))

    raw(app, endpoint, handle)


def answer_or_stream(
    app: web.Application,
    endpoint: Endpoint[Q, R],
    handler: Callable[[web.Request, Q], Coroutine[Any, Any, R]],
    streamer: Callable[[web.Request, Q], AsyncIterator[Event | None]],
) -> None:
    """Serve `endpoint` as a stream to a client that accepts one, else with a single reply."""

    async def handle(request: web.Request) -> web.StreamResponse:
        message = await _message(request, endpoint)
        if sse.CONTENT_TYPE not in request.headers.get("Accept", ""):
            return _reply(endpoint, await unless_revoked(request, handler(request, message)))
        return await _stream_response(request, streamer(request, message))

    raw(app, endpoint, handle)


def foreign(
    app: web.Application,
    endpoint: Endpoint[Q, R],
    handler: Callable[[web.Request, Q], Awaitable[web.StreamResponse]],
    refuse: Refuse,
) -> None:
    """Serve `endpoint` in a protocol that is not ours: `handler` makes the response, by
    `foreign_stream` or with what `unless_revoked` gives, and `refuse` the body of an error. The
    last parameter of the path may have slashes."""

    async def handle(request: web.Request) -> web.StreamResponse:
        chosen = app[FOREIGN].handler(request, endpoint.path, handler)
        return await chosen(request, await _message(request, endpoint))

    path = endpoint.path.removesuffix("}") + ":.+}" if "{" in endpoint.path else endpoint.path
    app[FOREIGN].refuse(endpoint.path, refuse)
    _readable(app, replace(endpoint, path=path), handle, app[FOREIGN].router)


async def foreign_stream(
    request: web.Request, source: AsyncIterator[object], form: StreamForm
) -> web.StreamResponse:
    """The response of a stream that is not ours; see `stream_response`."""
    return await _stream_response(request, source, form)


def accept_shutdown(app: web.Application) -> None:
    """Serve POST /v1/admin/shutdown: shutdown begins once the reply is sent."""

    async def handle(request: web.Request, _: Nothing) -> Ack:
        lifecycle = request.app[LIFECYCLE]
        logging.getLogger(lifecycle.program).info("told to end: POST %s", SHUTDOWN.path)
        asyncio.get_running_loop().call_later(0.01, lifecycle.shut_down)
        return Ack(f"{lifecycle.program} is shutting down.")

    answer(app, SHUTDOWN, handle)


def _readable(
    app: web.Application,
    endpoint: Endpoint[Q, R],
    handle: _Next,
    router: web.UrlDispatcher | None = None,
) -> None:
    """HEAD is as good as GET: programs that watch others ask so."""
    for method in ("GET", "HEAD") if endpoint.method == "GET" else (endpoint.method,):
        raw(app, replace(endpoint, method=method), handle, router)


def raw(
    app: web.Application,
    endpoint: Endpoint[Q, R],
    handle: _Next,
    router: web.UrlDispatcher | None = None,
) -> None:
    """Serve `endpoint` with the response that `handle` makes, as a route of `router`, which is the
    application's own unless given."""
    route = (app.router if router is None else router).add_route(
        endpoint.method, endpoint.path, handle
    )
    app[_ROLES][route] = endpoint.role
    if endpoint.open:
        app[_OPEN].add(endpoint.path)


def _reply(endpoint: Endpoint[Q, R], reply: R) -> web.Response:
    if endpoint.status == 204:
        return web.Response(status=204)
    body = msgspec.json.encode(reply)
    return web.Response(body=body, status=endpoint.status, content_type="application/json")


async def _stream_response(
    request: web.Request, source: AsyncIterator[object], form: StreamForm = OURS
) -> web.StreamResponse:
    app = request.app
    over = _over(request, app[LIFECYCLE], caller.get())
    return await stream_response(request, source, over, app[_KEEP_ALIVE_S], form)


async def _over(request: web.Request, lifecycle: Lifecycle, who: Caller) -> RbeeError | None:
    """Wait until every stream ends, or this one, because its key is revoked: then why."""
    if who.revoked is None:
        await lifecycle.over.wait()
        return None
    waits = [asyncio.ensure_future(event.wait()) for event in (lifecycle.over, who.revoked)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return _no_more(request, who) if who.revoked.is_set() else None


async def unless_revoked(request: web.Request, work: Coroutine[Any, Any, R]) -> R:
    """The outcome of `work`, which ends when its key is revoked. Raises INVALID_API_KEY then."""
    who = caller.get()
    if who.revoked is None:
        return await work
    working, over = asyncio.ensure_future(work), asyncio.ensure_future(who.revoked.wait())
    try:
        await asyncio.wait({working, over}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise _no_more(request, who)
        return working.result()
    finally:
        over.cancel()
        await stop(working)


def _no_more(request: web.Request, who: Caller) -> InvalidApiKey:
    return InvalidApiKey(f"The key {who.name} was revoked.", host=request.host)


async def _message(request: web.Request, endpoint: Endpoint[Q, R]) -> Q:
    encoding, kind = _header(request, _ENCODING), _header(request, _TYPE)
    if encoding is not None and encoding.lower() != _PLAIN:
        raise UnsupportedBody.of(_ENCODING, _PLAIN, "Send the body uncompressed", encoding)
    body = await _body(request) if endpoint.request is not Nothing else b""
    if (body and request.content_type not in _TAKEN) or request.content_type in _OF_PAGES:
        raise UnsupportedBody.of(_TYPE, _JSON, f"Send JSON as {_TYPE}: {_JSON}", kind)
    return decode(body, endpoint.request)


async def _body(request: web.Request) -> bytes:
    """All of the body. Raises an error of INVALID_REQUEST for one that stops to come."""
    try:
        async with asyncio.timeout(_BODY_S):
            return await request.read()
    except TimeoutError:
        limit = f"within {_BODY_S:g} s"
        raise BodyTimeout.of("body", limit, f"Expected the whole body {limit}") from None


@web.middleware
async def _correlate(request: web.Request, handler: _Next) -> web.StreamResponse:
    given = request.headers.get(CORRELATION_HEADER, "")
    known = given if given.isascii() and given.isprintable() and 0 < len(given) <= 128 else ""
    correlation_id.set(known or secrets.token_hex(8))
    connection = request.protocol
    if isinstance(connection, Connection):
        connection.begin(request)
    try:
        return await handler(request)
    finally:
        if isinstance(connection, Connection):
            connection.end()


async def _name(request: web.Request, response: web.StreamResponse) -> None:
    for header in (CORRELATION_HEADER, *request.app[FOREIGN].id_headers(request)):
        response.headers[header] = correlation_id.get()


async def _let_pages_read(request: web.Request, response: web.StreamResponse) -> None:
    origin = request.headers.get("Origin", "")
    if origin and cors.is_allowed(origin, request.app[LIFECYCLE].origins):
        response.headers.update(cors.headers(origin))


@web.middleware
async def _errors(request: web.Request, handler: _Next) -> web.StreamResponse:
    try:
        return await handler(request)
    except RbeeError as error:
        return _refused(request, error, error.status or 500)
    except web.HTTPRequestEntityTooLarge:
        limit = f"a body of at most {request.client_max_size} bytes"
        return _refused(request, InvalidRequest.of("body", limit, f"Expected {limit}"), 413)
    except web.HTTPException as error:
        allowed = error.allowed_methods if isinstance(error, web.HTTPMethodNotAllowed) else ()
        known = _methods(request.app)
        meant = request.path if request.path in known else nearest(request.path, known)
        methods = known.get(meant or "", ())
        not_there = unknown_route(request.method, request.path, allowed, meant, methods)
        response = _refused(request, not_there, error.status, meant)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:
        return _refused(request, internal(request), 500)


@web.middleware
async def _guard(request: web.Request, handler: _Next) -> web.StreamResponse:
    lifecycle = request.app[LIFECYCLE]
    _check_caller(request, lifecycle)
    if request.method == "OPTIONS" and cors.is_preflight(request.headers, lifecycle.origins):
        return web.Response(status=204, headers=cors.permission(request.headers))
    if lifecycle.keys is not None and request.path not in request.app[_OPEN]:
        scheme, key = _given_key(request)
        who = lifecycle.keys.caller(key)
        if scheme != "bearer" or who is None:
            raise InvalidApiKey(host=request.host)
        caller.set(who)
        if who is not OPERATOR:
            key_name.set(who.name)
        required = request.app[_ROLES].get(request.match_info.route, "use")
        if required == "manage" and who.role != "manage":
            raise WrongRole(key=who.name, role=who.role, required=required)
    # A GET is not an event: a client that follows the logs would find itself in them.
    level = logging.DEBUG if request.method in ("GET", "HEAD") else logging.INFO
    _log.log(level, "%s %s", request.method, request.rel_url.raw_path)
    if lifecycle.draining.is_set() and request.method == "POST" and request.path != SHUTDOWN.path:
        raise ShuttingDown(f"{lifecycle.program} is shutting down.")
    return await handler(request)


def _given_key(request: web.Request) -> tuple[str, str]:
    """Scheme, in small letters, and key of the Authorization header; without one there, `X-Api-Key`
    is as good."""
    scheme, _, key = request.headers.get("Authorization", "").strip().partition(" ")
    scheme = scheme.lower()
    if not key and scheme in ("", "bearer"):
        return "bearer", request.headers.get("X-Api-Key", "")
    return scheme, key.strip()


def _check_caller(request: web.Request, lifecycle: Lifecycle) -> None:
    """Raises an error of INVALID_REQUEST for what a web page of somebody else may have sent."""
    program = lifecycle.program
    host, origin = _header(request, "Host"), _header(request, "Origin")
    if host is not None and not is_own_name(host, lifecycle.names):
        message = f"{program} does not answer to this name"
        hint = "Use its IP address, or add the name to [auth] hosts on its machine."
        raise NotAllowed.of("Host", "a name of this machine", message, host, hint)
    if origin is not None and not is_welcome(origin, host or "", lifecycle.origins):
        message = f"{program} does not answer to pages from there"
        hint = "Add the origin to [auth] origins on its machine if you trust the page."
        raise NotAllowed.of("Origin", "an origin that is allowed", message, origin, hint)


def _header(request: web.Request, name: str) -> str | None:
    """A header as text that can be quoted; bytes that are not UTF-8 are question marks."""
    value = request.headers.get(name)
    return None if value is None else value.encode(errors="replace").decode()


def _refused(
    request: web.Request, error: RbeeError, status: int, meant: str | None = None
) -> web.Response:
    """The answer to a request that no route is for, or that is refused; `meant` is the path that it
    may have meant."""
    log_refusal(request, error)
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else None
    refuse = request.app[FOREIGN].refusal(request, meant)
    body = msgspec.json.encode(error.envelope() if refuse is None else refuse(error, status))
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def _methods(app: web.Application) -> dict[str, list[str]]:
    """The methods of each path that there is."""
    found: dict[str, list[str]] = {}
    for route in app[_ROLES]:
        if route.resource is not None:
            found.setdefault(route.resource.canonical, []).append(route.method)
    return found
