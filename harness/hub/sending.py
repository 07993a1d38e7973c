"""How the Hub sends a file: at a chosen speed, and with the end that a scenario wants."""

import contextlib
import fcntl
import socket
import struct
import termios
import threading
import time
from io import BufferedIOBase

from harness.hub.faults import HubFaults
from harness.hub.repositories import Blob
from harness.hub.request_log import HubRequest
from harness.world.waiting import NeverHappenedError, wait_until

_PIECE = 4 << 20
_PIECES_PER_SECOND = 20
_LONGEST_STALL_S = 120


def send(
    connection: socket.socket,
    blob: Blob,
    begin: int,
    end: int,
    record: HubRequest,
    faults: HubFaults,
    closing: threading.Event,
) -> None:
    """Send bytes `begin` to `end` and count them in `record`; the speed may change meanwhile.

    Raises ConnectionAbortedError when the Hub goes down.
    """
    began = time.monotonic()
    with blob.path.open("rb") as file:
        while begin + record.sent < end:
            at = begin + record.sent
            speed = faults.bytes_per_second
            piece = int(speed / _PIECES_PER_SECOND) if speed else _PIECE
            try:
                connection.sendfile(file, at, min(piece, end - at))
            finally:
                record.sent = file.tell() - begin
            if speed:
                due = began + record.sent / speed
                closing.wait(max(0, due - time.monotonic()))
            if closing.is_set():
                raise ConnectionAbortedError


def break_off(
    connection: socket.socket,
    reader: BufferedIOBase,
    how: str,
    record: HubRequest,
    closing: threading.Event,
) -> None:
    """First wait until everything that was sent has arrived: a reset would drop the rest. The
    `record` has ended before the client can know of it."""
    with contextlib.suppress(NeverHappenedError):
        wait_until("all to be taken", lambda: _untaken(connection) == 0, within=2)
    if how == "stalls":
        wait_until(
            "the client to go",
            lambda: closing.is_set() or _hung_up(connection),
            within=_LONGEST_STALL_S,
        )
    elif how == "resets":
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        record.ended_at = time.monotonic()
        reader.close()  # it holds the socket open
        connection.close()


def _hung_up(connection: socket.socket) -> bool:
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _untaken(connection: socket.socket) -> int:
    """Bytes that the far side's kernel has not acknowledged yet."""
    content = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    return int(struct.unpack("i", content)[0])
