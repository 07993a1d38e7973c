"""A client whose calls are made with what Python brings along.

For a command that asks and is done. It need not wait for aiohttp, whose import takes longer than
all the rest of what such a command does.
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
from rbee.runtime.log import CORRELATION_HEADER
from rbee.runtime.threads import apart

Q = TypeVar("Q")
R = TypeVar("R")


class PlainClient(Client):
    """As a Client, but that each call is one by itself, which `cut` does not break. Streams are
    aiohttp's here, too."""

    async def _read(
        self, endpoint: Endpoint[Q, R], message: Q | None, within_s: float, names: Mapping[str, str]
    ) -> bytes:
        self._check_address()
        url = self.url + endpoint.path.format(**names)
        if asked := query(endpoint, names):
            url += f"?{urlencode(asked)}"
        body = None if message is None else msgspec.json.encode(message)
        exchange = self._exchange(endpoint, names)
        try:
            question = Question(endpoint.method, url, self._connect_s, within_s)
            ask = partial(question.ask, body, self._headers(endpoint))
            try:
                async with asyncio.timeout(within_s):
                    status, mark, answer = await apart(ask)
            finally:
                question.break_off()
        except OSError as error:
            exchange.failed(reason(error))
            raise self._unreachable(error) from None
        except (HTTPException, ValueError) as error:
            told = type(error).__name__  # its words may hold what was sent
            exchange.failed(told)
            raise self._not_ours(told) from None
        exchange.answered(status, mark)
        if status >= 300:
            raise self._error(status, answer)
        return answer


class Question:
    """Asked once, on a thread that may wait. `break_off` ends that from another one."""

    def __init__(self, method: str, url: str, connect_s: float, within_s: float) -> None:
        parts = urlsplit(url)
        self._method = method
        self._target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self._within_s = within_s
        self._socket: socket.socket | None = None
        self._broken_off = False
        limit = min(connect_s, within_s)
        self._peer = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=limit)

    def ask(self, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, str | None, bytes]:
        """Status, correlation id and body; a redirect is an answer. Raises OSError and
        HTTPException."""
        with contextlib.closing(self._peer):
            self._peer.connect()
            self._socket = self._peer.sock  # which the answer takes over
            self._socket.settimeout(self._within_s)
            if self._broken_off:
                raise TimeoutError
            self._peer.request(self._method, self._target, body, {**headers, "Connection": "close"})
            with self._peer.getresponse() as answer:
                return answer.status, answer.getheader(CORRELATION_HEADER), answer.read()

    def break_off(self) -> None:
        """Whoever waits for it gets an error, and the other side sees the end."""
        self._broken_off = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
