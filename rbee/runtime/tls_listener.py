"""Accepts connections of a daemon that speaks HTTPS.

asyncio's own server counts a connection only once it speaks TLS, uses one certificate for ever, and
leaves a client that speaks plain HTTP without an answer. Here a connection has its place from the
first moment, each handshake takes the certificate that is there now, and plain HTTP is told so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from functools import partial

import msgspec

from rbee.contract.errors import TlsFailed
from rbee.runtime.certificate import Certificate
from rbee.runtime.client import address
from rbee.runtime.connections import Connection, Connections

# For a whole handshake, over a slow wireless network.
HANDSHAKE_S = 15.0
# For the other side's last word when a connection closes.
_CLOSE_S = 5.0
_AT_ONCE = 64
_FULL_S = 1.0
_HANDSHAKE = b"\x16"  # the first byte of every TLS connection (RFC 8446, 5.1)
_PIECE = 1 << 16
_log = logging.getLogger("http-server")


class TlsListener:
    """Accepts at `sock` until it is closed. `url` is what the daemon tells others."""

    def __init__(
        self,
        connections: Connections,
        certificate: Certificate,
        sock: socket.socket,
        url: str,
        handshake_s: float = HANDSHAKE_S,
    ) -> None:
        self._connections = connections
        self._certificate = certificate
        self._sock = sock
        self._url = url
        self._handshake_s = handshake_s
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._said = float("-inf")
        sock.setblocking(False)
        self._loop.add_reader(sock, self._accept)

    def close(self) -> None:
        """Close the socket, and every connection that does not speak TLS yet."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._sock.close()
        for handshake in self._handshakes:
            handshake.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptor is left: one comes free
                problem = {"message": "can't accept a connection", "exception": error}
                self._loop.call_exception_handler(problem)
                self._loop.remove_reader(self._sock)
                self._loop.call_later(_FULL_S, self._go_on)
                return
            accepted.setblocking(False)
            connection = self._connections()
            handshake = self._loop.create_task(self._begin(accepted, connection))
            handshake.add_done_callback(partial(self._settle, accepted, connection))
            self._handshakes.add(handshake)
            connection.handshake = handshake
            self._connections.add(connection)

    def _go_on(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.add_reader(self._sock, self._accept)

    async def _begin(self, accepted: socket.socket, connection: Connection) -> None:
        """From the first byte to the first word over TLS."""
        try:
            async with asyncio.timeout(self._handshake_s):
                first = await self._first_byte(accepted)
                if first == _HANDSHAKE:
                    await self._loop.connect_accepted_socket(
                        lambda: connection,
                        accepted,
                        ssl=await self._certificate.current(),
                        ssl_handshake_timeout=self._handshake_s,
                        ssl_shutdown_timeout=_CLOSE_S,
                    )
                elif first:
                    self._say("it speaks plain HTTP")
                    await self._refuse(accepted)
        except TimeoutError:
            self._say("it took too long")
        except OSError as error:
            self._say(str(error))

    def _settle(
        self, accepted: socket.socket, connection: Connection, handshake: asyncio.Task[None]
    ) -> None:
        """Not at the end of the task: one that is canceled at once has never begun."""
        self._handshakes.discard(handshake)
        if connection.transport is None:
            self._connections.remove(connection)
            accepted.close()

    async def _first_byte(self, accepted: socket.socket) -> bytes:
        """It stays to be read; b"" if the client goes away."""
        readable = asyncio.Event()
        self._loop.add_reader(accepted, readable.set)
        try:
            await readable.wait()
        finally:
            self._loop.remove_reader(accepted)
        return accepted.recv(1, socket.MSG_PEEK)

    async def _refuse(self, accepted: socket.socket) -> None:
        """Answer what is not TLS, in the envelope."""
        host, port = address(self._url)
        message = f"{self._url} is an HTTPS address; this is plain HTTP."
        error = TlsFailed(message, host=host, port=port, reason="tls_required")
        body = msgspec.json.encode(error.envelope())
        head = (
            "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        # Bytes that nobody has read would make the system take the answer back.
        await self._loop.sock_recv(accepted, _PIECE)
        await self._loop.sock_sendall(accepted, head.encode() + body)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                accepted.shutdown(socket.SHUT_WR)
                while await self._loop.sock_recv(accepted, _PIECE):
                    pass

    def _say(self, why: str) -> None:
        """Once a second: anybody can cause it."""
        if self._loop.time() - self._said >= 1:
            self._said = self._loop.time()
            _log.info("refused what is not TLS: %s", ascii(why))
