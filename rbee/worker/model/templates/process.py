"""The process that renders chat templates: it may take long, or much memory, and be killed.

It answers one request after the other on the socket that is its standard input, and ends with that,
with its parent, or when it has computed for longer than it may. It knows nothing of its parent but
what it is sent. `{"templates": …, "deadline_s": …}` is not answered. The requests that follow are:
`{"render": NAME, "messages": […], "tools": […], "variables": {…}}` with a prompt, and
`{"facts": NAME}` with what that template can do.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import socket
import struct
from typing import TYPE_CHECKING, Any

from rbee.runtime.parent import die_with_parent

if TYPE_CHECKING:
    from rbee.worker.model.templates.environment import Template

# Bytes of address space, of which Python itself takes a tenth. A conversation of 16 MB, which is
# the largest that a daemon accepts, takes a third.
MEMORY = 1 << 30
# Bytes of a prompt.
LONGEST = 64 << 20

HEAD = struct.Struct(">Q")
REPLY = struct.Struct(">cQ")
READY, TEXT, REFUSED, EXHAUSTED = b"r", b"t", b"e", b"m"

_CPU_S = 2
_LONGEST_WORDS = 10_000


def main() -> None:
    sock = socket.socket(fileno=0)
    # Ctrl+C is for the worker, which drains.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    _limit()
    from rbee.worker.model.templates import environment  # noqa: F401  # it takes its time

    _reply(sock, READY, b"")
    templates: dict[str, Template | str] = {}
    deadline_s = 0.0
    while (request := _receive(sock)) is not None:
        deadline_s = request.get("deadline_s", deadline_s)
        _may_compute(deadline_s)
        if "templates" in request:
            templates = _compiled(**request["templates"])
        else:
            _reply(sock, *_answer(templates, request))


def _compiled(sources: dict[str, str], tokens: dict[str, str]) -> dict[str, Template | str]:
    """The templates by their names; in place of one that is not valid, what is wrong with it."""
    from rbee.worker.model.templates.environment import Template

    found: dict[str, Template | str] = {}
    for name, source in sources.items():
        try:
            found[name] = Template(source, tokens)
        except Exception as error:  # a template is a program, and may raise anything
            found[name] = f"is not valid: {_words(error)}"
    return found


def _answer(templates: dict[str, Template | str], request: dict[str, Any]) -> tuple[bytes, bytes]:
    """The kind of answer, and its text."""
    template = templates[request.get("render") or request["facts"]]
    if isinstance(template, str):
        return REFUSED, _bytes(template)
    try:
        if "facts" in request:
            return TEXT, _bytes(json.dumps(template.facts()))
        text = template.render(request["messages"], request["tools"], request["variables"])
        prompt = _bytes(text)
    except MemoryError:
        return EXHAUSTED, _bytes(f"takes more than {MEMORY >> 20} MB of memory")
    except Exception as error:
        return REFUSED, _bytes(f"refuses this: {_words(error)}")
    if len(prompt) > LONGEST:
        return EXHAUSTED, _bytes(f"writes more than {LONGEST >> 20} MB")
    return TEXT, prompt


def _words(error: Exception) -> str:
    return str(error)[:_LONGEST_WORDS] or type(error).__name__


def _bytes(text: str) -> bytes:
    return text.encode(errors="replace")


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    least = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
    with contextlib.suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (least, most))


def _may_compute(deadline_s: float) -> None:
    """Let the kernel end this process if it goes on after its parent should have killed it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + deadline_s) + _CPU_S
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    soft = limit if most == resource.RLIM_INFINITY else min(limit, most)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, most))


def _receive(sock: socket.socket) -> dict[str, Any] | None:
    """The next request; None at the end."""
    head = sock.recv(HEAD.size, socket.MSG_WAITALL)
    if len(head) < HEAD.size:
        return None
    (size,) = HEAD.unpack(head)
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


if __name__ == "__main__":
    main()
