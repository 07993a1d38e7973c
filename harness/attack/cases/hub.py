"""A Hub that lies, floods, or never ends (item 9)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.attack.cases import case
from harness.attack.exchange import LIMIT_S
from harness.attack.scene import Scene
from harness.attack.verdict import Bounds
from harness.world import cluster

_MANY = 200_000
# The Hub is asked again and again before it is given up.
_PATIENCE_S = 60.0
_ESC = "\x1b[2J\x9b\u202e\n"


@case("a hostile Hub", own=True, slow=True, bounds=Bounds(growth_mb=96, peak_mb=256))
def hostile_hub(scene: Scene) -> None:
    """Listings of every wrong shape, and some without an end: an error each time, and meanwhile
    the hive answers others."""
    world = scene.world
    hub = _Hub((world.network.address(3), 8000))
    world.add_cleanup(hub.close)
    world.extra_environment["HF_ENDPOINT"] = hub.url
    world.start_daemon("rbee-hive daemon")
    scene.addresses = {"hive": world.hive_address}
    scene.watch({"hive": cluster.process_at(world, world.hive_url).pid})
    for name in _LISTINGS:
        body = {"model": f"hf:lab/{name}"}
        asked = threading.Thread(target=_ask, args=(scene, body, name))
        asked.start()
        while asked.is_alive():
            scene.check_alive()
            asked.join(0.3)


def _ask(scene: Scene, body: object, name: str) -> None:
    answer = scene.send("hive", "POST", "/v1/models/info", body, within=_PATIENCE_S)
    if answer.took_s > LIMIT_S:  # it may take its time: what must not wait are others
        scene.answers.remove(answer)
    scene.expect(answer.status != -1, f"{name}: no answer within {_PATIENCE_S:g} s")
    code = answer.code
    scene.expect(
        answer.status < 400 or code not in ("", "INTERNAL"), f"{name}: {answer.status} {code}"
    )


def _listing(siblings: object, **more: object) -> bytes:
    return json.dumps({"id": "lab/x", "sha": "0" * 40, "siblings": siblings, **more}).encode()


def _many() -> bytes:
    return _listing([{"rfilename": f"{n}.gguf", "size": 1} for n in range(_MANY)])


# A body, or None for one that never ends.
_LISTINGS: Mapping[str, Callable[[], bytes] | None] = {
    "endless": None,
    "many-files": _many,
    "siblings-a-text": lambda: _listing("x"),
    "siblings-a-number": lambda: _listing(1),
    "siblings-nothing": lambda: _listing(None),
    "siblings-numbers": lambda: _listing([1, None, "x", []]),
    "names-numbers": lambda: _listing([{"rfilename": 1}]),
    "names-missing": lambda: _listing([{}]),
    "names-hostile": lambda: _listing([{"rfilename": f"{_ESC}/../../a.gguf", "size": 1}]),
    "names-absolute": lambda: _listing([{"rfilename": "/etc/passwd.gguf", "size": 1}]),
    "sizes-wrong": lambda: _listing([{"rfilename": "a.gguf", "size": "x", "lfs": "y"}]),
    "sizes-huge": lambda: _listing([{"rfilename": "a.gguf", "size": 10**30}]),
    "sha-wrong": lambda: _listing([{"rfilename": "a.gguf"}], sha=["x"]),
    "a-list": lambda: b"[]",
    "nothing": lambda: b"",
    "not-json": lambda: b"<html>",
    "deep": lambda: b"[" * 100_000,
    "broken-text": lambda: b'{"id":"\xff"}',
}


class _Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _Handler)
        self.url = "http://{}:{}".format(*address)
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up is what is wanted."""

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        words = self.path.partition("?")[0].strip("/").split("/")
        name = words[3] if words[:2] == ["api", "models"] and len(words) > 3 else ""
        if name not in _LISTINGS:
            self._send(404, b"{}")
        elif (make := _LISTINGS[name]) is None:
            self._send_endlessly()
        else:
            self._send(200, make())

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_endlessly(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b'{"id":"lab/endless","sha":"0","siblings":[')
        piece = b'{"rfilename":"a.gguf","size":1},' * 2000
        for _ in range(50_000):  # 3 GB; the client is expected to go long before
            self.wfile.write(piece)
