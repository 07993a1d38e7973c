"""A node that sleeps: nothing of it answers until its network card gets a magic packet. Then it
boots, which takes its time, and its SSH server is there.

    card = SleepingCard(node)
    card.sleep(boots_within=2)
    card.packets        # how many have woken it, or were sent while it booted
"""

import contextlib
import socket
import threading

from harness.ssh.embedded_server import EmbeddedServer
from harness.ssh.node import Node

_PORT = 9
_LOOK_EVERY_S = 0.2


def can_listen() -> bool:
    try:
        _socket(_PORT).close()
    except PermissionError:
        return False
    return True


class SleepingCard:
    """Its node is on until `sleep`. Cards of other worlds get the same packets, and know their
    own address in them."""

    def __init__(self, node: Node, port: int = _PORT) -> None:
        self.packets = 0
        assert isinstance(node.server, EmbeddedServer)
        self._server = node.server
        self._wanted = b"\xff" * 6 + bytes.fromhex(node.mac.replace(":", "")) * 16
        self._boots_within: float | None = None
        self._timer: threading.Timer | None = None
        self._closed = threading.Event()
        self.port = port
        self._socket = _socket(port)
        self._socket.settimeout(_LOOK_EVERY_S)
        self._thread = threading.Thread(target=self._listen, name=f"card {node.name}", daemon=True)
        self._thread.start()

    def sleep(self, boots_within: float | None) -> None:
        """Fall asleep now. None: it will never wake."""
        self.packets = 0
        self._boots_within = boots_within
        self._server.drop_connections()
        self._server.swallow()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(TimeoutError):
                packet = self._socket.recv(1024)
                if packet == self._wanted:
                    self._wake()

    def _wake(self) -> None:
        self.packets += 1
        if self._boots_within is not None and (self._timer is None or not self._timer.is_alive()):
            self._timer = threading.Timer(self._boots_within, self._server.open)
            self._timer.start()


def _socket(port: int) -> socket.socket:
    """Several may listen at once: each gets what is sent to all."""
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(("", port))
    except OSError:
        found.close()
        raise
    return found
