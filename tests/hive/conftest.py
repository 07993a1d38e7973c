"""A small server on this machine that imitates the Hub, for what only HTTP can show."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

Answer = Callable[[BaseHTTPRequestHandler], None]

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def reply(body: bytes = b"", status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """A whole answer, with its length."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def refuse(status: int, code: str | None = None, **headers: str) -> Answer:
    """An error as the Hub words it."""
    named = {"X-Error-Code": code} if code else {}
    return reply(b'{"error":"in words"}', status, {**named, **headers})


def write_gguf(path: Path) -> Path:
    """The smallest model that rbee takes for whole: one tensor, Q8_0 by its own word."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    for key, number in {
        "block_count": 1,
        "context_length": 2048,
        "embedding_length": 64,
        "attention.head_count": 8,
    }.items():
        writer.add_uint32(f"llama.{key}", number)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_token_list(["<s>", "</s>"])
    writer.add_tensor("token_embd.weight", np.zeros((2, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class HubServer:
    """Answers by path, and remembers what it was asked: the path, and the headers."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                hub.answers.get(self.path, refuse(404, "RepoNotFound"))(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """A client that goes is no event."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def header(self, name: str) -> str | None:
        """Of the last request."""
        return self.asked[-1][1].get(name)

    def holds(self, files: dict[str, bytes], repository: str = "owner/repo") -> None:
        """A repository's listing, and its files with ranges."""
        siblings = [
            {
                "rfilename": name,
                "size": len(data),
                "blobId": "b" * 40,
                "lfs": {
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "size": len(data),
                    "pointerSize": 134,
                },
            }
            for name, data in files.items()
        ]
        body = json.dumps(
            {
                "_id": "1",
                "id": repository,
                "modelId": repository,
                "sha": COMMIT,
                "private": False,
                "gated": False,
                "tags": [],
                "downloads": 0,
                "siblings": siblings,
            }
        ).encode()
        kind = {"Content-Type": "application/json"}
        for revision in ("", "/revision/main", "/revision/v1"):
            path = f"/api/models/{repository}{revision}?blobs=true"
            self.answers[path] = reply(body, headers=kind)
        for name, data in files.items():
            self.answers[f"/{repository}/resolve/{COMMIT}/{name}"] = ranged(data)

    def stalls(self, path: str, first: bytes = b"", size: int = 100) -> None:
        """Sends `first` of `size` bytes and then nothing."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", str(size))
            handler.end_headers()
            handler.wfile.write(first)
            handler.wfile.flush()
            self.over.wait(5)
            handler.close_connection = True

        self.answers[path] = answer

    def says_nothing(self, path: str) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            self.over.wait(5)
            handler.close_connection = True

        self.answers[path] = answer


def ranged(data: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers["Range"]
        if asked is None:
            reply(data)(handler)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1 if last else None]
        where = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        reply(part, 206, {"Content-Range": where})(handler)

    return answer


def reset(after: bytes = b"", size: int = 100) -> Answer:
    """Sends some bytes, then the connection is reset."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if after:
            handler.send_response(200)
            handler.send_header("Content-Length", str(size))
            handler.end_headers()
            handler.wfile.write(after)
            handler.wfile.flush()
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
        handler.close_connection = True

    return answer


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """The Hub that huggingface_hub asks, which reads its environment only when it is imported."""
    from huggingface_hub import close_session, constants

    server = HubServer()
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    close_session()
    yield server
    server.close()
    close_session()
