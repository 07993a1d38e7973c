"""Plain HTTP calls to the programs, with nothing between the test and the wire."""

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(
    method: str,
    url: str,
    body: object = None,
    key: str | None = None,
    timeout: float = 10,
) -> Reply:
    connection, response, _ = open_call(method, url, body, key, timeout)
    try:
        return Reply(response.status, response.headers, response.read())
    finally:
        connection.close()


def open_call(
    method: str, url: str, body: object, key: str | None, timeout: float
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse, socket.socket]:
    """Send the request and stop after the reply's headers: what follows may be a stream.

    The socket is for breaking off: http.client forgets it where the server closes at the end.
    """
    parts = urlsplit(url)
    assert parts.hostname, url
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    content = None
    if body is not None:
        content = json.dumps(body)
        headers["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    connection.request(method, path, content, headers)
    opened: socket.socket = connection.sock
    return connection, connection.getresponse(), opened
