"""The inside of a process that works on what a stranger has sent, and may be killed for it.

It answers one request after the other on the socket that is its standard input. It ends with that,
with its parent, or when it has computed for longer than a request may. It knows nothing of its
parent but what it is sent: `{"learn": …}` is not answered, every other request is.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import socket
import struct
from collections.abc import Callable
from typing import Any

from rbee.runtime.parent import die_with_parent

# Before a request: how many seconds it may compute, and its bytes. Before an answer: its kind, and
# its bytes.
HEAD = struct.Struct(">dQ")
REPLY = struct.Struct(">cQ")
READY, TEXT, REFUSED, EXHAUSTED = b"r", b"t", b"e", b"m"


def serve(
    memory: int,
    get_ready: Callable[[], None],
    learn: Callable[[Any], None],
    answer: Callable[[dict[str, Any]], tuple[bytes, bytes]],
) -> None:
    """Answer with the kind and the bytes of what `answer` returns, within `memory` bytes of
    address space."""
    sock = socket.socket(fileno=0)
    # Ctrl+C is for the worker, which drains.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    _limit(memory)
    get_ready()
    _reply(sock, READY, b"")
    while (request := _receive(sock)) is not None:
        if "learn" in request:
            learn(request["learn"])
        else:
            _reply(sock, *answer(request))
        signal.setitimer(signal.ITIMER_PROF, 0)


def _limit(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    least = memory if most == resource.RLIM_INFINITY else min(memory, most)
    with contextlib.suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (least, most))


def _receive(sock: socket.socket) -> dict[str, Any] | None:
    """The next request; None at the end. The kernel ends this process if it computes for longer
    than that may, even if nobody is there to kill it."""
    head = sock.recv(HEAD.size, socket.MSG_WAITALL)
    if len(head) < HEAD.size:
        return None
    seconds, size = HEAD.unpack(head)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = sock.recv_into(view)
        if not count:
            return None
        view = view[count:]
    found: dict[str, Any] = json.loads(data)
    return found


def _reply(sock: socket.socket, kind: bytes, data: bytes) -> None:
    sock.sendall(REPLY.pack(kind, len(data)))
    sock.sendall(data)
