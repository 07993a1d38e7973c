"""A program of somebody else at a daemon's address, which keeps all that it is sent.

It answers GET /health and GET /v1/health as our daemons do, and whatever else it is asked as one
that hopes to be sent a key would. A relay passes everything on to a real daemon instead, and the
answers back.
"""

import contextlib
import json
import os
import socket
import socketserver
import threading
import time

_VERSION = "0.1.0"
_RECEIVES = 65536


class Impostor(socketserver.ThreadingTCPServer):
    """Listens until it is closed. `relay_to` is the address of a real daemon; one that `proves`
    makes up a proof that it has the key."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self,
        address: tuple[str, int],
        relay_to: tuple[str, int] | None = None,
        proves: bool = False,
    ) -> None:
        super().__init__(address, _Relay if relay_to else _Answers)
        self.relay_to = relay_to or address
        self.proves = proves
        self._received: list[bytes] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def received(self) -> bytes:
        """All that it has been sent."""
        return b"".join(self._received)

    def note(self, received: bytes) -> None:
        self._received.append(received)

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Answers(socketserver.BaseRequestHandler):
    server: Impostor

    def handle(self) -> None:
        head = b""
        with contextlib.suppress(OSError):
            while received := self.request.recv(_RECEIVES):
                self.server.note(received)
                head += received
                if b"\r\n\r\n" in head:
                    self.request.sendall(_answer(head.split(b" ")[1].decode(), self.server.proves))
                    head = b""


def _answer(target: str, proves: bool) -> bytes:
    queen = {"status": "ok", "program": "queen-rbee", "version": _VERSION, "pid": os.getpid()}
    hive = {"status": "alive", "version": _VERSION, "api_version": "v1"}
    answers = {"/health": {**queen, "lifetime": "persistent"}, "/v1/health": hive}
    answer = answers.get(target, {"message": "welcome"})
    if proves and target.startswith("/v1/auth/proof?"):
        answer = {"program": "queen-rbee", "wants_key": True, "proof": os.urandom(32).hex()}
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + f"Date: {time.time():.0f}\r\n\r\n".encode() + body


class _Relay(socketserver.BaseRequestHandler):
    server: Impostor

    def handle(self) -> None:
        near = self.request
        with contextlib.suppress(OSError), socket.create_connection(self.server.relay_to) as far:
            threading.Thread(target=_copy, args=(far, near), daemon=True).start()
            while received := near.recv(_RECEIVES):
                self.server.note(received)
                far.sendall(received)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(_RECEIVES):
            target.sendall(received)
        target.shutdown(socket.SHUT_WR)
