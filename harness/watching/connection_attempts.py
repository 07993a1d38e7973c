"""Attempts to connect to an address that does not answer: nothing but the network sees them."""

import contextlib
import socket
import threading
import time

from harness.watching.packets import segment_of

_ETH_P_IP = 0x0800
_LONGEST_PACKET = 65536


class ConnectionAttempts:
    """The first packet of each, on the loopback device, from the creation on. Needs root.

    A packet that is sent again, since nothing answered, is of the same attempt.
    """

    def __init__(self, address: str, port: int) -> None:
        self._wanted = address, port
        self._moments: dict[int, float] = {}
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        self._socket.bind(("lo", _ETH_P_IP))
        self._socket.settimeout(0.1)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def moments(self) -> list[float]:
        """When each began, on the monotonic clock."""
        return sorted(self._moments.values())

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                packet = self._socket.recv(_LONGEST_PACKET)
                segment = segment_of(packet, time.monotonic())
                if segment and segment.opens and segment.target == self._wanted:
                    _, source_port = segment.source
                    self._moments.setdefault(source_port, segment.at)
