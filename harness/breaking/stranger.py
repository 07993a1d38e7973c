"""A stranger at a daemon's port: connections that say nothing, and bytes that are not HTTP."""

import contextlib
import email
import http.client
import resource
import select
import socket
from urllib.parse import urlsplit

from harness.world.http_client import Reply


class Connections:
    """Open connections that send nothing."""

    def __init__(self, url: str, count: int) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + soft, hard), hard))
        parts = urlsplit(url)
        assert parts.hostname and parts.port, url
        self._sockets = [_connected(parts.hostname, parts.port) for _ in range(count)]

    def open(self) -> int:
        """Return how many the other end has not closed."""
        poll = select.poll()
        for each in self._sockets:
            poll.register(each, select.POLLIN)
        return len(self._sockets) - len(poll.poll(0))

    def close(self) -> None:
        for each in self._sockets:
            each.close()


def _connected(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), timeout=10)


def say(url: str, text: bytes, within: float = 10) -> bytes:
    """Send bytes that may be no request, and an empty line. Return what is answered until the
    other end closes the connection."""
    parts = urlsplit(url)
    assert parts.hostname and parts.port, url
    with _connected(parts.hostname, parts.port) as connection:
        connection.settimeout(within)
        connection.sendall(text + b"\r\n\r\n")
        answer = b""
        with contextlib.suppress(ConnectionError):
            while more := connection.recv(65536):
                answer += more
        return answer


def reply_of(answer: bytes) -> Reply:
    """Parse an HTTP answer."""

    head, _, body = answer.partition(b"\r\n\r\n")
    line, _, lines = head.decode("latin-1").partition("\r\n")
    status = int(line.split()[1])
    headers = email.message_from_string(lines, http.client.HTTPMessage)
    return Reply(status, headers, body)
