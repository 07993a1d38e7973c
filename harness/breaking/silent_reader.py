"""A client that asks and then takes nothing of its answer, however long the answer is."""

import json
import socket
from urllib.parse import urlsplit

from harness.watching.raw_requests import bearer

# The smallest that the system allows. With small packets, the program's end keeps little for us,
# too: some 40 KB in place of four million bytes, which an answer can fill.
_KEPT, _PACKET = 1, 536


class SilentReader:
    """Sends a request to `url`, and reads nothing but what `end` finds."""

    def __init__(self, url: str, key: str, body: object) -> None:
        parts = urlsplit(url)
        content = json.dumps(body).encode()
        headers = {"Host": parts.netloc, "Content-Type": "application/json", **bearer(key)}
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = [f"POST {parts.path} HTTP/1.1", *lines, f"Content-Length: {len(content)}", "", ""]
        self._socket = socket.socket()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _PACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KEPT)
        self._socket.settimeout(10)
        self._socket.connect((parts.hostname, parts.port))
        self._socket.sendall("\r\n".join(head).encode() + content)

    def end(self) -> bytes:
        """What had come when the program hung up. Raises TimeoutError if it does not."""
        found = b""
        try:
            while piece := self._socket.recv(1 << 16):
                found += piece
        except ConnectionResetError:
            pass
        return found

    def close(self) -> None:
        self._socket.close()
