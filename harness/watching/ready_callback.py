"""A stranger who listens for a worker's ready callback, and looks at the worker at that moment."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.world.calls import call
from harness.world.waiting import wait_until


class CallbackListener(ThreadingHTTPServer):
    """`received` is each callback's body; `ready_then` what the worker's /v1/ready said by then."""

    daemon_threads = True

    def __init__(self, address: str, port: int, key: str) -> None:
        super().__init__((address, port), _Handler)
        self.url = f"http://{address}:{port}"
        self.key = key
        self.received: list[dict[str, Any]] = []
        self.ready_then: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def first(self, within: float) -> tuple[dict[str, Any], dict[str, Any]]:
        wait_until("the worker's ready callback", lambda: self.ready_then, within)
        return self.received[0], self.ready_then[0]

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: CallbackListener

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append(body)
        ready = call("GET", f"{body['url']}/v1/ready", key=self.server.key)
        self.server.ready_then.append(ready.json)
        answer = b'{"message":"thank you"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """What it received is the evidence."""
