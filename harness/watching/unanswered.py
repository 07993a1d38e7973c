"""Requests that a hung program did not answer, as the kernel counts them.

A program that is stopped still has its socket: the kernel accepts connections for it and keeps what
they send. A client that has waited in vain closes its end.
"""

import socket
import struct
from pathlib import Path
from urllib.parse import urlsplit

from harness.world.cluster import process_at
from harness.world.world import World

_CLOSED_BY_THE_CLIENT = "08"  # TCP_CLOSE_WAIT of Linux' tcp_states.h


def given_up(world: World, url: str) -> int:
    """How many requests to the program at `url` were given up before it read them."""
    parts = urlsplit(url)
    host = struct.unpack("=I", socket.inet_aton(str(parts.hostname)))[0]
    local = f"{host:08X}:{parts.port:04X}"
    table = Path(f"/proc/{process_at(world, url).pid}/net/tcp").read_text()
    rows = [line.split() for line in table.splitlines()[1:]]
    return sum(_unread(row) for row in rows if row[1] == local and row[3] == _CLOSED_BY_THE_CLIENT)


def _unread(row: list[str]) -> bool:
    """Whether more than the end of file waits to be read."""
    _, _, waiting = row[4].partition(":")
    return int(waiting, 16) > 1
