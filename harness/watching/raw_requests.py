"""Requests as odd as a stranger's, and streams byte by byte with the moments of their arrival."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from harness.world.http_client import Reply
from harness.world.waiting import wait_until

KINDS = {"json": "application/json", "stream": "text/event-stream", "text": "text/plain"}


def send(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    announced: int | None = None,
    within: float = 20,
) -> Reply:
    """Send a request just so. `announced` is a length for a body that never comes.

    Of an event stream only the head is read.
    """
    parts = urlsplit(url)
    assert parts.hostname, url
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=within)
    try:
        target = f"{parts.path}?{parts.query}".rstrip("?")
        connection.putrequest(method, target, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        length = announced if announced is not None else len(body or b"")
        if method == "POST":
            if "Content-Type" not in headers:
                connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(length))
        connection.endheaders(body or None)
        response = connection.getresponse()
        is_stream = response.headers.get_content_type() == KINDS["stream"]
        return Reply(response.status, response.headers, b"" if is_stream else response.read())
    finally:
        connection.close()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


class RawStream:
    """An event stream as it comes over the wire: each line with the moment of its arrival."""

    def __init__(
        self,
        method: str,
        url: str,
        key: str,
        body: object = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname, url
        self.lines: list[tuple[float, bytes]] = []
        self.ended_at: float | None = None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        headers = {**bearer(key), "Content-Type": "application/json", **(more or {})}
        content = None if body is None else json.dumps(body)
        self._connection.request(method, parts.path, content, headers)
        self._socket: socket.socket = self._connection.sock
        self._response = self._connection.getresponse()
        self.opened_at = time.monotonic()
        self.status = self._response.status
        self.headers = self._response.headers
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, AttributeError, ValueError):
            for line in self._response:
                self.lines.append((time.monotonic(), line))
            self.ended_at = time.monotonic()

    @property
    def text(self) -> str:
        return b"".join(line for _, line in list(self.lines)).decode()

    def wait_for_end(self, within: float) -> None:
        wait_until("the stream to end", lambda: self.ended_at, within, lambda at: at is not None)

    def comments(self) -> list[float]:
        """Return the moment of each comment."""
        return [at for at, line in list(self.lines) if line.startswith(b":")]

    def events(self) -> list[float]:
        """Return the moment of the last line of each event."""
        return [at for at, line in list(self.lines) if line.startswith(b"data:")]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._connection.close()


def events_of(text: str) -> list[tuple[str, Any]]:
    """Return the events of a whole stream; ValueError for one that has another form than
    `event: NAME`, `data: JSON` and an empty line. The end mark has no name."""
    *blocks, rest = text.split("\n\n")
    if rest:
        raise ValueError(f"the stream breaks off in {rest!r}")
    found: list[tuple[str, Any]] = []
    for block in blocks:
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        if lines == ["data: [DONE]"]:
            found.append(("[DONE]", None))
        elif lines:
            name, data = lines
            if not (name.startswith("event: ") and data.startswith("data: ")):
                raise ValueError(f"not an event: {block!r}")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found
