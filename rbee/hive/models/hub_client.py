"""The HTTP client for the Hub: through the proxies of the environment, and within limits.

Imported late, as httpx2 takes its time.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Mapping
from typing import Any

import httpx2

from rbee.hive.models import hub_environment, hub_replies

_CONNECT_S = 2.0


class SlowHeadersError(httpx2.ReadTimeout):
    """A server that sends the headers of its answer byte by byte, and was cut off."""


def make() -> httpx2.Client:
    """A client that follows redirects, and reads no more than some of an error or a redirect."""
    return httpx2.Client(
        transport=_Routes(),
        event_hooks={"response": [hub_replies.bound]},
        follow_redirects=True,
    )


def timeout(silence_s: float) -> httpx2.Timeout:
    """How long a server may be silent."""
    return httpx2.Timeout(silence_s, connect=_CONNECT_S)


class _Routes(httpx2.BaseTransport):
    """Sends each request through the proxy that the environment names for its server, or directly.
    Raises UnusableError for a proxy that can't be used."""

    def __init__(self) -> None:
        self._known: dict[str | None, httpx2.HTTPTransport] = {}
        self._turn = threading.Lock()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        transport = self._transport(hub_environment.proxy_for(url.scheme, url.host, url.port))
        limits = request.extensions["timeout"]
        with _Watch(limits["connect"] + limits["read"]) as watch:
            request.extensions = {**request.extensions, "trace": watch.note}
            try:
                return transport.handle_request(request)
            except httpx2.TransportError:
                if not watch.has_ended:
                    raise
                raise SlowHeadersError(f"no whole answer within {watch.within_s:g} s") from None

    def close(self) -> None:
        for transport in self._known.values():
            transport.close()

    def _transport(self, proxy: hub_environment.Proxy | None) -> httpx2.HTTPTransport:
        with self._turn:
            url = proxy.url if proxy is not None else None
            if url not in self._known:
                if proxy is not None:
                    hub_environment.check_proxy(proxy)
                # A connection for each request: only a new one tells its socket to the watch.
                limits = httpx2.Limits(max_keepalive_connections=0)
                try:
                    self._known[url] = httpx2.HTTPTransport(proxy=url, limits=limits)
                except OSError as error:
                    raise hub_environment.unreadable_certificates(error) from None
            return self._known[url]


class _Watch:
    """Cuts a connection whose answer has not begun within some seconds: the client's own limit is
    on silence, and starts again with each byte."""

    def __init__(self, within_s: float) -> None:
        self.within_s = within_s
        self.has_ended = False
        self._timer = threading.Timer(within_s, self._end)
        self._timer.daemon = True
        self._turn = threading.Lock()
        self._socket: socket.socket | None = None

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        """What the client is doing, of which only a new connection matters. A copy of its
        descriptor is kept, as TLS takes the socket away."""
        if event.endswith("connect_tcp.complete"):
            connected = info["return_value"].get_extra_info("socket")
            with self._turn:
                self._close()
                self._socket = socket.socket(fileno=os.dup(connected.fileno()))
                if self.has_ended:
                    self._cut()

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._turn:
            self._close()

    def _end(self) -> None:
        with self._turn:
            self.has_ended = True
            self._cut()

    def _cut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
