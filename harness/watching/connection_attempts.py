"""Attempts to connect to an address that does not answer: nothing but the network sees them."""

import contextlib
import socket
import struct
import threading
import time

_ETH_P_IP = 0x0800
_TCP = 6
_SYN, _ACK = 0x02, 0x10
_LONGEST_PACKET = 65536


class ConnectionAttempts:
    """The first packet of each, on the loopback device, from the creation on. Needs root.

    A packet that is sent again, since nothing answered, is of the same attempt.
    """

    def __init__(self, address: str, port: int) -> None:
        self._wanted = socket.inet_aton(address), port
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
                source = self._source_of_attempt(packet)
                if source is not None:
                    self._moments.setdefault(source, time.monotonic())

    def _source_of_attempt(self, packet: bytes) -> int | None:
        """The port that it comes from; None for any other packet."""
        begin = 4 * (packet[0] & 0x0F)
        if packet[9] != _TCP or len(packet) < begin + 14:
            return None
        source, target = struct.unpack_from("!HH", packet, begin)
        if (packet[16:20], target) != self._wanted or packet[begin + 13] & (_SYN | _ACK) != _SYN:
            return None
        return int(source)
