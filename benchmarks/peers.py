"""The servers to compare: how each is started, and how its requests and replies look.

    python -m benchmarks.peers NAME MODEL PORT SLOTS CONTEXT THREADS

A benchmark runs this in its own process; NAME is `xllamacpp` or `llama-cpp-python`. All servers get
the same model, the same number of slots over one shared KV cache, and the same number of threads.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.main_job import BIN, bundled

READY_S = 60.0
THREADS = os.cpu_count() or 1


@dataclass(frozen=True)
class Kind:
    """`path` is the completion route; `mark` is in each line of its stream that has a token; the
    server is ready once the reply of `ready` contains `word`; `count` is its name for the number of
    tokens; `endless` makes it continue after the end-of-sequence token."""

    path: str
    mark: bytes
    ready: str
    word: bytes
    count: str
    endless: Mapping[str, object]
    caches_by_request: bool = True


KINDS = {
    "rbee": Kind(
        "/v1/inference",
        b"event: token",
        "/v1/ready",
        b'"ready":true',
        "max_tokens",
        {"ignore_eos": True},
    ),
    "xllamacpp": Kind(
        "/completion", b'"stop":false', "/health", b"ok", "n_predict", {"ignore_eos": True}
    ),
    "llama-cpp-python": Kind(
        "/v1/completions",
        b'"finish_reason": null',
        "/v1/models",
        b"data",
        "max_tokens",
        {"logit_bias": {"2": -100}},
        caches_by_request=False,
    ),
}


@dataclass(frozen=True)
class Peer:
    """A running server."""

    name: str
    url: str

    def body(self, prompt: str, tokens: int, cache: bool) -> dict[str, Any]:
        """A greedy completion of `tokens` tokens."""
        kind = KINDS[self.name]
        body = {"prompt": prompt, "temperature": 0, "stream": True, kind.count: tokens}
        if kind.caches_by_request:
            body["cache_prompt"] = cache
        return body | kind.endless


@contextmanager
def running(names: list[str], slots: int, context: int) -> Iterator[dict[str, Peer]]:
    """Run the servers, ready to answer, for the block."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(_running(name, slots, context)) for name in names}


@contextmanager
def _running(name: str, slots: int, context: int) -> Iterator[Peer]:
    port = free_port()
    peer = Peer(name, f"http://127.0.0.1:{port}")
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            command(name, port, slots, context),
            env={**os.environ, "HOME": home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until_ready(process, peer)
            yield peer
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def command(name: str, port: int, slots: int, context: int) -> list[str]:
    """What starts a server."""
    numbers = [str(number) for number in (port, slots, context, THREADS)]
    if name != "rbee":
        return [sys.executable, "-m", "benchmarks.peers", name, str(bundled()), *numbers]
    flags = ("--port", "--slots", "--context")
    given = [word for pair in zip(flags, numbers, strict=False) for word in pair]
    return [str(BIN / "llm-worker-rbee"), "--model", str(bundled()), "--insecure", *given]


def wait_until_ready(process: subprocess.Popen[bytes], peer: Peer) -> None:
    """Wait until a server answers; ends this program with a message if it does not."""
    kind = KINDS[peer.name]
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(peer.url + kind.ready, timeout=5) as reply:
                if kind.word in reply.read():
                    return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.05)
    sys.exit(f"{peer.name} is not ready (exit code {process.poll()})")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve_xllamacpp(model: str, port: int, slots: int, context: int, threads: int) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.port = port
    params.n_parallel = slots
    params.n_ctx = context
    params.kv_unified = True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    while server.listening_address:
        time.sleep(60)


def _serve_llama_cpp_python(model: str, port: int, _: int, context: int, threads: int) -> None:
    """Serve with llama-cpp-python, which has no slots: it answers one request after the other."""
    import uvicorn
    from llama_cpp.server.app import create_app
    from llama_cpp.server.settings import ModelSettings, ServerSettings

    settings = ModelSettings(
        model=model, n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False
    )
    # Otherwise a second request interrupts the first.
    serving = ServerSettings(port=port, interrupt_requests=False)
    app = create_app(server_settings=serving, model_settings=[settings])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def main() -> None:
    """Run as one of the peers until stopped."""
    name, model, *numbers = sys.argv[1:]
    serve = {"xllamacpp": _serve_xllamacpp, "llama-cpp-python": _serve_llama_cpp_python}[name]
    serve(model, *(int(number) for number in numbers))


if __name__ == "__main__":
    main()
