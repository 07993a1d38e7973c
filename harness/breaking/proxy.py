"""A proxy between two programs, which fails at a chosen event of a stream.

It takes the stream out of its chunks and ends it by closing, which is a well-formed end in HTTP: a
client that takes the mere end of a stream for success is fooled by exactly that. It records the
requests with their times.
"""

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP_BY_HOP = {"transfer-encoding", "connection", "keep-alive", "content-length"}
_TASK_PATH = "/v2/tasks"
_EVENTS_PATH = "/v1/events"


@dataclass(frozen=True)
class ProxiedRequest:
    """A request that passed through; `status` is the reply's. `last_event` is the id after which
    it wants events."""

    at: float
    method: str
    path: str
    body: bytes
    status: int
    last_event: str = ""


class Proxy(ThreadingHTTPServer):
    """`fault` is ends, resets, is silent or loses; it happens before the event named by `before`
    comes for the `count`-th time, in every task stream and in no other.

    `renamed` is a text of the far side and what the near side gets in its place: an address behind
    this proxy under the address of another one, as with a router. `relayed` counts the events of
    task streams that the near side got, by name; `events_of_hive` are the lines of a hive's
    events that it got, in order.
    """

    daemon_threads = True

    def __init__(self, address: str, port: int, target: str) -> None:
        super().__init__((address, port), _Relay)
        self.url = f"http://{address}:{port}"
        self.target = target
        self.fault = ""
        self.before = b""
        self.count = 0
        self.requests: list[ProxiedRequest] = []
        self.renamed = b"", b""
        self.relayed: Counter[str] = Counter()
        self.events_of_hive: list[bytes] = []
        self.closing = threading.Event()
        self._followers: set[socket.socket] = set()
        self._may_follow = threading.Event()
        self._may_follow.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def break_task_streams(self, fault: str, before: str, count: int) -> None:
        assert fault in {"ends", "resets", "is silent", "loses"}, fault
        self.before = b"data: [DONE]" if before == "[DONE]" else f"event: {before}".encode()
        self.fault, self.count = fault, count

    def cut_events(self) -> None:
        """Break each stream of a hive's events; who wants another one waits."""
        self._may_follow.clear()
        for follower in self._followers:
            follower.shutdown(socket.SHUT_RDWR)
        self._followers.clear()

    def restore_events(self) -> None:
        self._may_follow.set()

    def follow(self, follower: socket.socket) -> None:
        """Called in the thread of a request for a hive's events."""
        self._may_follow.wait()
        self._followers.add(follower)
        self.events_of_hive.append(b"\n")

    def rename(self, original: str, replacement: str) -> None:
        self.renamed = original.encode(), replacement.encode()

    def translate(self, content: bytes) -> bytes:
        original, replacement = self.renamed
        return content.replace(original, replacement) if original else content

    def requests_for(self, method: str, path: str) -> list[ProxiedRequest]:
        """Requests whose path begins like this."""
        found = list(self.requests)
        return [each for each in found if each.method == method and each.path.startswith(path)]

    def close(self) -> None:
        self.closing.set()
        self.restore_events()
        self.shutdown()
        self.server_close()


class _Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_GET(self) -> None:
        self._relay()

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """The programs' own outputs are the evidence."""

    def _relay(self) -> None:
        if self.path == _EVENTS_PATH:
            self.server.follow(self.connection)
        target = urlsplit(self.server.target)
        upstream = http.client.HTTPConnection(str(target.hostname), target.port)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        upstream.request(self.command, self.path, body or None, headers)
        far = upstream.sock
        requested_at = time.monotonic()
        reply = upstream.getresponse()
        self.server.requests.append(
            ProxiedRequest(
                requested_at,
                self.command,
                self.path,
                body,
                reply.status,
                self.headers.get("Last-Event-ID", ""),
            )
        )
        self.send_response_only(reply.status, reply.reason)
        for name, value in reply.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if reply.headers.get_content_type() == "text/event-stream":
            self.send_header("Connection", "close")
            self.end_headers()
            fault = self.server.fault if self.path == _TASK_PATH else ""
            if not fault:
                threading.Thread(target=self._hang_up_together, args=[far], daemon=True).start()
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._relay_stream(reply, fault)
        else:
            content = self.server.translate(reply.read())
            if reply.status != http.HTTPStatus.NO_CONTENT:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        upstream.close()

    def _hang_up_together(self, far: socket.socket) -> None:
        """When the near side closes, so does the far side, as on a real wire."""
        with contextlib.suppress(OSError):
            self.connection.recv(1)
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)

    def _relay_stream(self, lines: Iterable[bytes], fault: str) -> None:
        left = self.server.count
        losing = False
        for line in lines:
            if fault and line.startswith(self.server.before):
                left -= 1
                losing = left == 0 and fault == "loses"
                if left == 0 and not losing:
                    self._break(fault)
                    return
            if not losing:
                self.wfile.write(self.server.translate(line))
                self.wfile.flush()
                if self.path == _TASK_PATH and line.startswith(b"event: "):
                    self.server.relayed[line.decode().removeprefix("event: ").strip()] += 1
                elif self.path == _EVENTS_PATH:
                    self.server.events_of_hive.append(line)
            losing = losing and bool(line.strip())

    def _break(self, fault: str) -> None:
        if fault == "is silent":
            self.server.closing.wait()
        elif fault == "resets":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.rfile.close()  # it holds the socket open
            self.connection.close()
