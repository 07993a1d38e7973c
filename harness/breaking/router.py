"""A router before a node: it has an address of its own, and lets chosen ports through only."""

import contextlib
import socket
import threading
from collections.abc import Iterable

from harness.breaking.port_squatters import Swallower

_PIECE = 65536


class Router:
    """What comes to one of these ports of `outside` goes on to the same port of `inside`.

    Whoever asks for another port is refused; for one of `swallowed` they hear nothing at all.
    """

    def __init__(
        self, outside: str, inside: str, ports: Iterable[int], swallowed: Iterable[int] = ()
    ) -> None:
        self._ways: list[_Way | Swallower] = [_Way(outside, inside, port) for port in ports]
        self._ways += [Swallower(outside, port) for port in swallowed]

    def close(self) -> None:
        for way in self._ways:
            way.close()


class _Way:
    """One port."""

    def __init__(self, outside: str, inside: str, port: int) -> None:
        self._inside = inside, port
        self._socket = socket.create_server((outside, port))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._socket.accept()
                self._carry_on(near)

    def _carry_on(self, near: socket.socket) -> None:
        """Where nobody listens inside, whoever comes is turned away; the next one is tried anew."""
        try:
            far = socket.create_connection(self._inside)
        except OSError:
            near.close()
            return
        self._open += [near, far]
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=_carry, args=(source, target), daemon=True).start()

    def close(self) -> None:
        # A thread that waits in accept is not woken by close alone.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        for each in (self._socket, *self._open):
            each.close()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
