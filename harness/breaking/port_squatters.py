"""Something that is no queen on the queen's port: 8080 is a popular one."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WebSite(ThreadingHTTPServer):
    """Answers every path with a page, as a router's web interface does."""

    daemon_threads = True

    def __init__(self, address: str, port: int) -> None:
        super().__init__((address, port), _Page)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = b"<html><title>My printer</title></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """A printer keeps no log."""


class MuteServer:
    """Takes every connection and never says a word."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.create_server((address, port))

    def close(self) -> None:
        self._socket.close()


class Swallower:
    """A port whose queue of connections is full: who asks for one more hears nothing at all."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, port))
        self._socket.listen(0)
        self._waiting = [socket.create_connection((address, port))]

    def close(self) -> None:
        for each in (*self._waiting, self._socket):
            each.close()


def squat(what: str, address: str, port: int) -> WebSite | MuteServer | Swallower:
    """`what` is "a web site", "a mute server" or "a port that swallows connections"."""
    if what == "a port that swallows connections":
        return Swallower(address, port)
    if what == "a web site":
        return WebSite(address, port)
    assert what == "a mute server", what
    return MuteServer(address, port)
