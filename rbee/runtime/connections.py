"""The connections of a daemon: how many there may be, how long one may stay idle, and what is said
to bytes that are not HTTP.

aiohttp has no deadline for a request's head, and answers what it can't parse in plain text. Here a
connection that sends nothing, or half a request, is closed after a while, or sooner if others want
its place; so is one whose client takes nothing of its reply; and every refusal has the envelope.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import resource
from typing import Any

import msgspec

from rbee.contract.errors import InvalidRequest
from rbee.runtime import kernel
from rbee.runtime.light_aiohttp import web

# The head of a request, over a slow wireless network.
HEAD_S = 30.0
# Between two requests. Clients that keep a connection longer open a new one.
IDLE_S = 75.0
_MOST = 4096
# asyncio holds 256 KiB for each, and OpenSSL some more, before anybody has shown a key.
_MOST_OVER_TLS = 512
# Descriptors for everything but connections: files, pipes of children, calls to other programs.
_RESERVED = 128
# In bytes. A connection is not idle while it sends a larger reply, for which a key was needed: so
# nobody without one can hold a place by not reading.
_SENT_AT_ONCE = 1 << 16
# How often it is looked whether a client takes something, until it is given up.
_LOOKS = 4
# What the parser quotes of a request may be a broken header with a key in it.
_QUOTED = r"(?s)[:\s]*b?['\"].*"
_log = logging.getLogger("http-server")


class Connection(web.RequestHandler):
    """One connection. Between two requests, and before the first, it is idle."""

    def __init__(self, place: Connections, **more: Any) -> None:
        super().__init__(place.server, **more)
        self._place = place
        self._deadline: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None
        self._answered: web.BaseRequest | None = None
        # What it does before it is made, if TLS comes first.
        self.handshake: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request, but not for ever, and not if others want the place more."""
        super().connection_made(transport)
        self._deadline = asyncio.get_running_loop().call_later(self._place.head_s, self.hang_up)
        self._place.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leave the place to others."""
        self._stop_waiting()
        self._stop_looking()
        self._place.remove(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for the client to take what was written, but not for ever."""
        super().pause_writing()
        self._look_later(self._unsent(), 0)

    def resume_writing(self) -> None:
        """Go on: the client has taken most of it."""
        self._stop_looking()
        super().resume_writing()

    def begin(self, request: web.BaseRequest) -> None:
        """Note that a request has come whole."""
        self._stop_waiting()
        self._answered = request
        self._place.idle.pop(self, None)

    def end(self) -> None:
        """Note that it has been answered."""
        self._answered = None
        self._place.settle(self)

    def hang_up(self) -> None:
        """Close the connection, whatever it is waiting for."""
        self._place.remove(self)
        if self.transport is not None:
            self.transport.abort()
        elif self.handshake is not None:
            self.handshake.cancel()

    def log_exception(self, *args: Any, **more: Any) -> None:
        """Log nothing about a client that has left while it was told to go on."""
        if not isinstance(more.get("exc_info"), ConnectionError):
            super().log_exception(*args, **more)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What a client is told that does not speak HTTP, in the envelope."""
        if isinstance(exc, UnicodeEncodeError) and "Expect" in request.headers:
            response: web.StreamResponse = _not_expected(request)  # aiohttp fails to quote it
        elif status >= 500:
            response = super().handle_error(request, status, exc, message)
        else:
            words = " ".join(re.sub(_QUOTED, "", message or "").split()) or "It can't be read"
            _log.info("refused what is not HTTP: %s", ascii(words))
            error = InvalidRequest.of("request", "HTTP/1.1", f"This is not HTTP/1.1: {words}")
            response = _refusal(error, status)
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send what aiohttp refuses before our handlers see it in the envelope, too."""
        if isinstance(resp, web.HTTPExpectationFailed):
            resp = _not_expected(request)
        if (resp.content_length or 0) <= _SENT_AT_ONCE:
            return await super().finish_response(request, resp, start_time)
        self.begin(request)
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self.end()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _unsent(self) -> int:
        """The bytes that the client's system has not taken. What our own system takes says little:
        it takes pieces of a megabyte, which may last a slow client for minutes."""
        sock = None if self.transport is None else self.transport.get_extra_info("socket")
        if self.transport is None or sock is None or sock.fileno() < 0:
            return 0
        return self.transport.get_write_buffer_size() + kernel.unacknowledged(sock.fileno())

    def _look_later(self, unsent: int, in_vain: int) -> None:
        after_s = self._place.stall_s / _LOOKS
        loop = asyncio.get_running_loop()
        self._look = loop.call_later(after_s, self._look_at_client, unsent, in_vain)

    def _look_at_client(self, before: int, in_vain: int) -> None:
        unsent = self._unsent()
        in_vain = in_vain + 1 if unsent == before else 0
        if in_vain < _LOOKS:
            self._look_later(unsent, in_vain)
            return
        what = "a reply"
        if self._answered is not None:
            what = f"{self._answered.method} {self._answered.rel_url.raw_path}"
        peer = None if self.transport is None else self.transport.get_extra_info("peername")
        client = peer[0] if peer else "?"
        told = "%s: the client at %s took nothing for %g s: given up"
        _log.warning(told, what, client, self._place.stall_s)
        self.hang_up()

    def _stop_looking(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None


def _not_expected(request: web.BaseRequest) -> web.Response:
    # Bytes that are not UTF-8 are question marks.
    value = request.headers["Expect"].encode(errors="replace").decode()
    message = "Nothing but 100-continue can be expected"
    return _refusal(InvalidRequest.of("Expect", "100-continue", message, value), 417)


def _refusal(error: InvalidRequest, status: int) -> web.Response:
    """The last response of a connection: what comes next is not known."""
    body = msgspec.json.encode(error.envelope())
    response = web.Response(body=body, status=status, content_type="application/json")
    response.force_close()
    return response


class Connections:
    """Makes the connections of a server, for `loop.create_server`, and keeps at most `most`. A
    newcomer takes the place of the one that has been idle for longest, which may be the newcomer.
    A client that takes nothing of its reply for `stall_s` seconds is given up, within a quarter
    more. A request's head may take `head_s` seconds."""

    def __init__(
        self, server: web.Server, most: int, stall_s: float, head_s: float = HEAD_S
    ) -> None:
        self.server = server
        self.stall_s = stall_s
        self.head_s = head_s
        self._most = most
        self._all: set[Connection] = set()
        # In the order in which they became idle.
        self.idle: dict[Connection, None] = {}

    def __call__(self) -> Connection:
        return Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,
            keepalive_timeout=IDLE_S,
            auto_decompress=False,  # before the key is known, a body may come from anybody
        )

    def add(self, connection: Connection) -> None:
        self._all.add(connection)
        self.settle(connection)
        if len(self._all) > self._most:
            next(iter(self.idle)).hang_up()

    def settle(self, connection: Connection) -> None:
        """Note that a connection is idle from now on, unless it is closed already."""
        if connection in self._all:
            self.idle[connection] = None

    def remove(self, connection: Connection) -> None:
        self._all.discard(connection)
        self.idle.pop(connection, None)


def most_connections(tls: bool = False) -> int:
    """How many connections a daemon may have: by its memory, and by the descriptors that it may
    open. Raises that limit as far as the system allows."""
    most = _MOST_OVER_TLS if tls else _MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _RESERVED if hard == resource.RLIM_INFINITY else min(hard, 1 << 20)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    allowed = most if soft == resource.RLIM_INFINITY else soft - _RESERVED
    return max(min(allowed, most), 16)


class SameTroubleOnce:
    """A handler for what goes wrong in an event loop: it logs the same trouble once a second."""

    def __init__(self) -> None:
        self._logged: dict[str, float] = {}

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message, now = str(context.get("message")), loop.time()
        if now - self._logged.get(message, float("-inf")) < 1:
            return
        self._logged[message] = now
        error = context.get("exception")
        if isinstance(error, OSError):
            _log.error("%s: %s", message, error)
        else:
            loop.default_exception_handler(context)
