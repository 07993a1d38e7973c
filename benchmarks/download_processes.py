"""The Hub, the peer and the hive of `benchmarks.downloads`, each in a process of its own.

With --hub or --peer, this module runs as one of them.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import IO, Any

from benchmarks.main_job import BIN, PORTS, environment
from harness.hub.hub import Hub
from harness.model_files.bundled import bundled_path

NAME, FILE = "lab/smollm2", "smollm2-Q4_1.gguf"
MODEL = f"hf:{NAME}/{FILE}"
HUB = ("127.0.0.1", 18090)


def main() -> None:
    """Run as one of the processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hub", type=float)
    parser.add_argument("--peer", action="store_true")
    chosen = parser.parse_args()
    if chosen.peer:
        peer()
    else:
        serve(chosen.hub)


@contextlib.contextmanager
def world() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory() as home:
        yield {**environment(home), "HF_ENDPOINT": "http://{}:{}".format(*HUB)}


@contextlib.contextmanager
def started(argv: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        argv,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def hub(bytes_per_second: float = 0) -> Iterator[None]:
    argv = [sys.executable, "-m", "benchmarks.download_processes", "--hub", str(bytes_per_second)]
    with started(argv, dict(os.environ)) as process:
        line(process.stdout)
        yield


@contextlib.contextmanager
def helper(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "benchmarks.download_processes", "--peer"]
    with started(argv, {**env, "HF_HUB_DISABLE_TELEMETRY": "1"}) as process:
        yield process


@contextlib.contextmanager
def hive(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with started([str(BIN / "rbee-hive"), "daemon"], env) as process:
        line(process.stdout)
        yield process


def line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


def serve(bytes_per_second: float) -> None:
    """Run the Hub until SIGTERM. The next port says how much was sent twice."""
    found = Hub(*HUB)
    found.faults.bytes_per_second = bytes_per_second or None
    found.add_repository(NAME, {FILE: bundled_path()})
    threading.Thread(target=tell_sent, args=[found], daemon=True).start()
    print("listening", flush=True)
    signal.sigwait({signal.SIGTERM})
    os._exit(0)


def tell_sent(found: Hub) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            begins = [asked.begin for asked in found.log.transfers(FILE)]
            ends = [asked.begin + asked.sent for asked in found.log.transfers(FILE)]
            again = [max(0, end - begin) for end, begin in zip(ends, begins[1:], strict=False)]
            body = json.dumps({"again": again}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    HTTPServer((HUB[0], HUB[1] + 1), Handler).serve_forever()


def peer() -> None:
    """Run huggingface_hub's own download once per line of standard input."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    for _ in sys.stdin:
        folder = tempfile.mkdtemp(dir=os.environ["HOME"])
        began = time.perf_counter()
        hf_hub_download(NAME, FILE, local_dir=folder)
        print(time.perf_counter() - began, flush=True)
        shutil.rmtree(folder)


def asked(other: subprocess.Popen[str]) -> float:
    assert other.stdin is not None
    other.stdin.write("go\n")
    other.stdin.flush()
    return float(line(other.stdout))


# The hive's HTTP


def call(env: dict[str, str], method: str, path: str, body: object = None) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", PORTS["hive"], timeout=60)
    headers = {"Authorization": f"Bearer {key(env)}", "Content-Type": "application/json"}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    assert reply.status == 200, (method, path, reply.status, content)
    return content


def key(env: dict[str, str]) -> str:
    return (Path(env["HOME"]) / ".rbee" / "api_key").read_text().strip()


def begin(env: dict[str, str]) -> dict[str, Any]:
    asked_for = {"model": MODEL, "detach": True}
    return dict(json.loads(call(env, "POST", "/v1/models/download", asked_for)))


def follow(env: dict[str, str], download_id: str) -> None:
    events = call(env, "GET", f"/v1/models/download/progress?id={download_id}")
    assert b'"complete"' in events, events[-500:]


def own(env: dict[str, str]) -> float:
    began = time.perf_counter()
    follow(env, begin(env)["download_id"])
    took = time.perf_counter() - began
    call(env, "POST", "/v1/models/delete", {"model": MODEL})
    return took


@contextlib.contextmanager
def probing(env: dict[str, str], into: list[float]) -> Iterator[None]:
    """Request the hive's health all the time; seconds of each reply."""
    over = threading.Event()

    def probe() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORTS["hive"], timeout=60)
        headers = {"Authorization": f"Bearer {key(env)}"}
        while not over.wait(0.005):
            began = time.perf_counter()
            connection.request("GET", "/v1/health", headers=headers)
            connection.getresponse().read()
            into.append(time.perf_counter() - began)

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def partial(env: dict[str, str]) -> int:
    found = list((Path(env["HOME"]) / ".local/share/rbee/models").rglob("*.part"))
    return found[0].stat().st_size if found else 0


def http_get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection(HUB[0], port, timeout=10)
    connection.request("GET", path)
    return connection.getresponse().read()


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(env: dict[str, str], *arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([BIN / "rbee-keeper", *arguments], env=env, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
