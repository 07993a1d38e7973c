"""A connection that somebody keeps open: it outlives the moment at which no new one is taken."""

import http.client
import json
from urllib.parse import urlsplit

from harness.world.calls import Reply


class OpenConnection:
    """Has asked for something once, so that the far side has taken it."""

    def __init__(self, url: str, first: str, key: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname, url
        self._key = key
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        assert self.ask("GET", first).status == 200

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        self._connection.request(method, path, content, headers)
        response = self._connection.getresponse()
        return Reply(response.status, response.headers, response.read())

    def close(self) -> None:
        self._connection.close()
