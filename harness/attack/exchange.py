"""One request as bytes, and what comes back, until a deadline."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Address = tuple[str, int]

LIMIT_S = 5.0
# Of a stream its head and first events are enough; the rest is not waited for.
_OF_A_STREAM_S = 0.1
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_MOST = 8 << 20
# With nothing behind it but the answer to the next request.
_LAST_CHUNK = re.compile(rb"(^|\r\n)0\r\n\r\n(\Z|HTTP/1\.)")
_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n")


@dataclass(frozen=True)
class Answer:
    """`status` is 0 if the connection was closed without an answer, and -1 if none came in time.
    `in_shape`: its body is an error as the route's protocol has it."""

    status: int
    took_s: float
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    to: str = ""
    only_head: bool = False
    in_shape: bool = False

    @property
    def kind(self) -> str:
        """`2xx` and the like, `closed` or `none`."""
        return {0: "closed", -1: "none"}.get(self.status, f"{self.status // 100}xx")

    @property
    def error(self) -> Mapping[str, Any] | None:
        """The inside of the contract's envelope, which in the protocols of others stands in
        `rbee`, in Ollama's beside the text; None if the body has none."""
        with contextlib.suppress(ValueError, AttributeError, KeyError, TypeError):
            found = json.loads(self.body)
            error = found["error"]
            if set(found) == {"error", "rbee"}:
                return {**found["rbee"], "message": error}
            alone = set(found) in ({"error"}, {"error", "type", "request_id"})
            if alone and "rbee" in error:
                error = {**error["rbee"], "message": error["message"]}
            if alone and {"code", "message", "details"} <= set(error):
                return dict(error)
        return None

    @property
    def code(self) -> str:
        return str(self.error["code"]) if self.error else ""


def request(
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> bytes:
    """A request as it should be, for headers and a body that may not be."""
    lines = dict(headers or {})
    if body is not None and "Transfer-Encoding" not in lines:
        lines.setdefault("Content-Length", str(len(body)))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in lines.items()
    )
    return head.encode("latin-1", "replace") + b"\r\n" + (body or b"")


def send(
    address: Address, content: bytes, within: float = LIMIT_S, whole: bool = True, to: str = ""
) -> Answer:
    """Send it and wait for the first answer. Without `whole`, say that no more will come: then a
    server that waits for the rest closes the connection."""
    began = time.monotonic()
    deadline = began + within
    came = b""
    only_head = content[:5].upper() == b"HEAD "
    try:
        with socket.create_connection(address, timeout=within) as connection:
            with contextlib.suppress(OSError):  # it may answer, and close, before it has read all
                connection.sendall(content)
                if not whole:
                    connection.shutdown(socket.SHUT_WR)
            came = _receive(connection, deadline, only_head)
    except TimeoutError:
        return Answer(-1, time.monotonic() - began, to=to)
    except ConnectionError:
        came = b""
    return replace(_answer(came, time.monotonic() - began, to), only_head=only_head)


def _receive(connection: socket.socket, deadline: float, only_head: bool) -> bytes:
    """What comes until an answer is complete, or the end. Raises TimeoutError at the deadline."""
    came = b""
    is_stream = False
    with contextlib.suppress(ConnectionError):
        while not _is_complete(came, only_head) and len(came) < _MOST:
            left = deadline - time.monotonic()
            if left <= 0 and is_stream:
                break
            connection.settimeout(max(left, 0.001))
            try:
                more = connection.recv(65536)
            except TimeoutError:
                if is_stream:
                    break
                raise
            if not more:
                break
            came = (came + more).removeprefix(_CONTINUE)
            if not is_stream and b"text/event-stream" in came.partition(b"\r\n\r\n")[0]:
                is_stream, deadline = True, time.monotonic() + _OF_A_STREAM_S
    return came


def _is_complete(came: bytes, only_head: bool) -> bool:
    head, found, body = came.partition(b"\r\n\r\n")
    if not found or only_head:
        return bool(found)
    headers = _headers(head)
    status = _HEAD.match(came)
    if status and int(status[1]) in (204, 304):
        return True
    if "content-length" in headers:
        return len(body) >= int(headers["content-length"])
    return headers.get("transfer-encoding") == "chunked" and bool(_LAST_CHUNK.search(body))


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return {name.lower(): value.strip() for name, _, value in pairs}


def _answer(came: bytes, took_s: float, to: str) -> Answer:
    found = _HEAD.match(came)
    if found is None:
        return Answer(0, took_s, body=came, to=to)
    head, _, body = came.partition(b"\r\n\r\n")
    headers = _headers(head)
    if "content-length" in headers:  # what follows answers another request
        body = body[: int(headers["content-length"])]
    return Answer(int(found[1]), took_s, headers, body, to)
