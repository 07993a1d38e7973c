"""A server that misbehaves, in the way that its first argument names, at the address that follows.

It is a program of its own, so that its memory and its end can be seen.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

sys.path.append(str(Path(__file__).parents[3]))

from harness.attack import openapi

WAY, HOST, PORT, KEY, LOG = sys.argv[1:]
kept: list[bytes] = []
foreign = [route for route in openapi.routes() if route.foreign]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if length.isdigit() and int(length) < 10_000_000:
            self.rfile.read(int(length))
        if self.path.endswith("/health"):
            return self.send(200, b"{}")
        if WAY == "html":
            return self.send(500, b"<h1>Server got itself in trouble</h1>")
        if WAY == "bug":
            return self.send(500, envelope("INTERNAL"))
        if WAY == "hangs":
            threading.Event().wait(30)
        if WAY == "grows":
            kept.append(b"x" * 2_000_000)
        if WAY == "writes":
            with Path(LOG).open("a") as log:
                log.write("x" * 100_000)
        if WAY == "drives":
            with Path(LOG).open("a") as log:
                log.write(f"{self.path} \x1b[2J\n")
        if WAY == "shows":
            return self.send(400, envelope("INVALID_REQUEST", KEY))
        if WAY == "ends":
            sys.stderr.flush()
            import os

            os._exit(1)
        return self.send(404, refusal(self.path.partition("?")[0]))

    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def send_error(self, code: int, *_: object) -> None:  # type: ignore[override]
        self.close_connection = True
        self.send(code, envelope("INVALID_REQUEST"))

    def log_message(self, format: str, *args: object) -> None:
        pass


def refusal(path: str) -> bytes:
    """An error as the route has it, for those in protocols of others."""
    for route in foreign:
        if re.fullmatch(re.sub(r"{\w+}", ".+", route.path), path):
            reference = {"$ref": f"#/components/schemas/{route.error}"}
            return json.dumps(openapi.value(reference, route, Random(1))).encode()
    return envelope("INVALID_REQUEST")


def envelope(code: str, message: str = "no") -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "details": {}}}).encode()


ThreadingHTTPServer((HOST, int(PORT)), Handler).serve_forever()
