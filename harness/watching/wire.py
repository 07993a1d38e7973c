"""A world's traffic, read from the loopback interface: who asked whom, when, and what came back.
What passes is neither held up nor changed.

It needs the rights to read raw packets (CAP_NET_RAW) and to have a buffer that a busy machine does
not fill (CAP_NET_ADMIN). Root has both, but in a container often not the second. The kernel stamps
the packets; a filter in the kernel leaves out those of other worlds.
"""

import contextlib
import ctypes
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import psutil

from harness.watching.http_exchange import Address, Exchange
from harness.watching.packets import Connections, segment_of
from harness.world.processes import socket_table
from harness.world.waiting import wait_until
from harness.world.world import World

To: TypeAlias = Address | str | None

# linux/if_ether.h, if_packet.h, socket.h
_ETH_P_IP = 0x0800
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_OUTGOING = 263, 6, 4
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 26, 33, 35
_TIMESPEC = struct.Struct("ll")
_LARGEST = 1 << 17
_BUFFER = 64 << 20

# linux/bpf_common.h: load a byte or a word of the packet, jump if equal, mask, return
_BYTE, _WORD, _EQUAL, _AND, _RETURN = 0x30, 0x20, 0x15, 0x54, 0x06
_PROTOCOL_AT, _SOURCE_AT, _TARGET_AT = 9, 12, 16
_TCP = 6


def available() -> bool:
    """Whether this machine lets the harness read packets."""
    try:
        _open("127.0.0.0").close()
    except (OSError, AttributeError):
        return False
    return True


class Wire:
    """Listens to a /24 network from its creation on. `to` chooses the exchanges with one program,
    by its address or its URL. `processes` are those that may ask."""

    def __init__(self, network: str, processes: Callable[[], Iterable[psutil.Process]]) -> None:
        self._processes = processes
        self._exchanges: list[Exchange] = []
        self._attempts: dict[tuple[Address, Address], float] = {}
        self._connections = Connections(self._exchanges.append, self._caller)
        self._epoch = _monotonic_epoch()
        self._socket = _open(network)
        self._read_until = 0.0
        self._closing = False
        self._broken: BaseException | None = None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @classmethod
    def of(cls, world: World) -> "Wire":
        """Listen until the world ends."""
        wire = cls(world.network.address(0), world.processes)
        world.add_cleanup(wire.close)
        return wire

    def close(self) -> None:
        self._closing = True
        self._thread.join()
        self._socket.close()

    def exchanges(self, to: To = None) -> list[Exchange]:
        """All that has passed up to now, in the order of the requests."""
        self._read_up_to_now()
        wanted = address(to)
        return [each for each in self._exchanges if wanted in (None, each.to)]

    def attempts(self, to: To) -> list[float]:
        """When each attempt to connect began, answered or not. A packet that is sent again, since
        nothing answered, is of the same attempt."""
        self._read_up_to_now()
        wanted = address(to)
        return sorted(at for (_, target), at in self._attempts.items() if target == wanted)

    def _read_up_to_now(self) -> None:
        now = time.monotonic()
        wait_until("the wire to be read", lambda: self._broken or self._read_until >= now, 20)
        if self._broken:
            raise self._broken

    def requests(self, method: str, path: str, to: To = None) -> list[Exchange]:
        """Requests for this path; one that ends with a slash stands for all below it."""
        found = [each for each in self.exchanges(to) if each.method == method]
        if path.endswith("/"):
            return [each for each in found if each.path.startswith(path)]
        return [each for each in found if each.path == path]

    def wait_for(
        self,
        method: str,
        path: str,
        to: To = None,
        within: float = 5,
        good: Callable[[Exchange], object] = lambda exchange: exchange.ended_at,
    ) -> Exchange:
        """Return the first such exchange that is good: by default, one that is complete."""

        def found() -> list[Exchange]:
            return [each for each in self.requests(method, path, to) if good(each)]

        return wait_until(f"{method} {path} to {to or 'anybody'}", found, within)[0]

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        try:
            while not self._closing:
                now = time.monotonic()
                if poll.poll(0):
                    self._take_one()
                else:
                    self._refuse_losses()
                    self._read_until = now
                    poll.poll(20)
        except BaseException as error:
            self._broken = error

    def _take_one(self) -> None:
        packet, stamps, _, (_, _, kind, *_) = self._socket.recvmsg(_LARGEST, 64)
        if kind == _PACKET_OUTGOING:
            return
        ((_, _, stamp),) = stamps
        seconds, nanoseconds = _TIMESPEC.unpack(stamp)
        segment = segment_of(packet, seconds + nanoseconds / 1e9 - self._epoch)
        if segment:
            if segment.opens:
                self._attempts.setdefault((segment.source, segment.target), segment.at)
            self._connections.take(segment)

    def _refuse_losses(self) -> None:
        """The kernel counts what did not fit into the buffer. Of what was missed nothing can be
        said."""
        counts = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        _, lost = struct.unpack("=II", counts)
        assert not lost, f"{lost} packets were lost: the wire can't be believed"

    def _caller(self, address: Address) -> int | None:
        """The process of this world, or the harness, that has a socket with this address."""
        socket_name = _socket_name(address)
        if socket_name is None:
            return None
        for pid in [*(process.pid for process in self._processes()), os.getpid()]:
            with contextlib.suppress(OSError):
                for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if str(descriptor.readlink()) == socket_name:
                            return pid
        return None


_OF_NOBODY = "socket:[0]"


def _monotonic_epoch() -> float:
    """When the monotonic clock began, as the kernel's stamps have it. The processor may be taken
    away between two looks at the clocks, so the nearest two count."""
    return max(time.time() - time.monotonic() for _ in range(20))


def _socket_name(address: Address) -> str | None:
    """As /proc/PID/fd has it. A connection that has ended keeps its address for a minute, without
    a process, and another one may have it by then."""
    host = struct.unpack("=I", socket.inet_aton(address[0]))[0]
    wanted = f"{host:08X}:{address[1]:04X}"  # as the end of an IPv6 address, too
    sockets = socket_table(Path("/proc/net"))
    found = (name for name, own, _ in sockets if own.endswith(wanted))
    return next((name for name in found if name != _OF_NOBODY), None)


def address(to: To) -> Address | None:
    if not isinstance(to, str):
        return to
    parts = urlsplit(to)
    return str(parts.hostname), parts.port or 80


def _open(network: str) -> socket.socket:
    """Return a socket that receives the TCP packets of a /24 network, without their Ethernet
    header."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        _filter(opened, network)
        opened.bind(("lo", _ETH_P_IP))
    except OSError:
        opened.close()
        raise
    return opened


def _filter(opened: socket.socket, network: str) -> None:
    (wanted,) = struct.unpack("!I", socket.inet_aton(network))
    program = [
        (_BYTE, 0, 0, _PROTOCOL_AT),
        (_EQUAL, 0, 7, _TCP),
        (_WORD, 0, 0, _SOURCE_AT),
        (_AND, 0, 0, 0xFFFFFF00),
        (_EQUAL, 3, 0, wanted),
        (_WORD, 0, 0, _TARGET_AT),
        (_AND, 0, 0, 0xFFFFFF00),
        (_EQUAL, 0, 1, wanted),
        (_RETURN, 0, 0, _LARGEST),
        (_RETURN, 0, 0, 0),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    head = struct.pack("HP", len(program), ctypes.addressof(code))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)
