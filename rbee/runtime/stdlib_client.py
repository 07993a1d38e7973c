"""A client that makes its calls with Python's own http.client.

A short command then does not import aiohttp, which takes longer than the rest of its work.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
from collections.abc import Mapping
from functools import partial
from http.client import HTTPException
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from rbee.contract.endpoints import Endpoint
from rbee.runtime.client import Client, query, reason
from rbee.runtime.concurrency import in_thread
from rbee.runtime.log import CORRELATION_HEADER

Q = TypeVar("Q")
R = TypeVar("R")


class StdlibClient(Client):
    """A Client whose calls each use a connection of their own, which `cut` does not break. Streams
    still use aiohttp."""

    async def _read(
        self, endpoint: Endpoint[Q, R], message: Q | None, within_s: float, names: Mapping[str, str]
    ) -> bytes:
        self._check_address()
        url = self.url + endpoint.path.format(**names)
        if asked := query(endpoint, names):
            url += f"?{urlencode(asked)}"
        body = None if message is None else msgspec.json.encode(message)
        traced = self._trace(endpoint, names)
        try:
            request = _Request(endpoint.method, url, self._connect_s, within_s)
            ask = partial(request.ask, body, self._headers(endpoint))
            try:
                async with asyncio.timeout(within_s):
                    status, trace_id, answer = await in_thread(ask)
            finally:
                request.abort()
        except OSError as error:
            traced.failed(reason(error))
            raise self._unreachable(error) from None
        except (HTTPException, ValueError) as error:
            kind = type(error).__name__  # the message may hold what was sent
            traced.failed(kind)
            raise self._not_ours(kind) from None
        traced.answered(status, trace_id)
        if status >= 300:
            raise self._error(status, answer)
        return answer


class _Request:
    """One HTTP request, sent on a thread that may block. `abort` ends it from another thread."""

    def __init__(self, method: str, url: str, connect_s: float, within_s: float) -> None:
        parts = urlsplit(url)
        self._method = method
        self._target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self._within_s = within_s
        self._socket: socket.socket | None = None
        self._aborted = False
        limit = min(connect_s, within_s)
        self._peer = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=limit)

    def ask(self, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, str | None, bytes]:
        """Status, correlation id and body; a redirect is an answer. Raises OSError and
        HTTPException."""
        with contextlib.closing(self._peer):
            self._peer.connect()
            self._socket = self._peer.sock  # the response takes it over
            self._socket.settimeout(self._within_s)
            if self._aborted:
                raise TimeoutError
            self._peer.request(self._method, self._target, body, {**headers, "Connection": "close"})
            with self._peer.getresponse() as answer:
                return answer.status, answer.getheader(CORRELATION_HEADER), answer.read()

    def abort(self) -> None:
        """End the request: the thread gets an error, and the server sees the close."""
        self._aborted = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
