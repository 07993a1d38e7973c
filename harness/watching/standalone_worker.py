"""A worker that was started by hand: no hive, no queen, only its own HTTP.

Also a listener for its ready callback, and prompts of a given length.
"""

import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

from harness.model_files.bundled import bundled_path
from harness.world.cluster import process_at
from harness.world.http_client import EventStream, Reply, call
from harness.world.run import Run
from harness.world.waiting import wait_until
from harness.world.world import World


class StandaloneWorker:
    """Listening and ready. `status` follows the events about its slots, from the first on."""

    def __init__(self, world: World, flags: str, model: Path | None = None) -> None:
        """For the bundled model, if no other is given."""
        self._world = world
        self.model = model or bundled_path()
        host = world.network.address(8)
        self.url = f"http://{host}:8001"
        world.ensure_key()
        self.run = world.start_daemon(
            f"llm-worker-rbee --model {self.model} --host {host} --port 8001 {flags}"
        )
        self.process: psutil.Process = process_at(world, self.url)
        wait_until("the worker to be ready", lambda: self.get("/v1/ready").json["ready"], 60)
        self.status = world.stream("GET", f"{self.url}/v1/events")

    def get(self, path: str) -> Reply:
        return self._world.call("GET", self.url + path)

    def post(self, path: str, body: object) -> Reply:
        return self._world.call("POST", self.url + path, body, timeout=60)

    def delete(self, request_id: str) -> Reply:
        return self._world.call("DELETE", f"{self.url}/v1/inference/{request_id}")

    def ask(self, prompt: str, max_tokens: int, **fields: object) -> EventStream:
        """Ask greedily, to the last token, unless `fields` say otherwise. It may be refused."""
        body = {"prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "ignore_eos": True}
        return self._world.stream("POST", f"{self.url}/v1/inference", {**body, **fields})

    def ask_to_the_end(self, prompt: str, max_tokens: int) -> tuple[EventStream, float]:
        """Ask, and wait for the answer or the refusal; with the seconds that it took."""
        began = time.monotonic()
        stream = self.ask(prompt, max_tokens)
        if stream.refused is None:
            stream.wait_for_end(within=60)
        return stream, time.monotonic() - began

    def chat(self, messages: list[dict[str, str]], max_tokens: int) -> EventStream:
        """Ask for a conversation's next turn, and wait for it."""
        return self.ask_with({"messages": messages, "max_tokens": max_tokens, "temperature": 0})

    def ask_with(self, fields: dict[str, object]) -> EventStream:
        """Ask with exactly these fields, and wait for the answer."""
        stream = self._world.stream("POST", f"{self.url}/v1/inference", fields)
        assert stream.refused is None, stream.refused
        stream.wait_for_end(within=60)
        return stream

    def answer(self, prompt: str, max_tokens: int, **fields: object) -> EventStream:
        """Ask, and wait for the answer."""
        stream = self.ask(prompt, max_tokens, **fields)
        assert stream.refused is None, stream.refused
        stream.wait_for_end(within=60)
        return stream

    def free_slots(self) -> int:
        events = self.status.named("status")
        return int(events[-1].data["slots_available"]) if events else 0

    def wait_for_free(self, slots: int, within: float) -> float:
        """Return the moment at which the worker said that all its slots are free, so many."""
        wait_until(
            f"{slots} free slots",
            lambda: [event.data for event in self.status.named("status")][-1:],
            within,
            lambda events: (
                events and events[0]["slots_available"] == events[0]["slots_total"] == slots
            ),
        )
        return self.status.named("status")[-1].at

    def wait_for_computing(self, cpu_s: float) -> None:
        """Wait until the worker has used this much more processor time: it is at work."""
        began = self._cpu_s()
        wait_until("the worker to compute", lambda: self._cpu_s() - began >= cpu_s, 60)

    def _cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> float:
        return float(self.process.memory_info().rss) / 1_000_000


def text_of(stream: EventStream) -> str:
    return "".join(pieces_of(stream))


def pieces_of(stream: EventStream) -> list[str]:
    return [event.data["token"] for event in stream.named("token")]


def done_of(stream: EventStream) -> dict[str, Any]:
    done = stream.named("done")
    assert len(done) == 1, f"one done was expected: {stream.events[-3:]}"
    return dict(done[0].data)


def tokens_between(stream: EventStream, began: float, ended: float) -> int:
    """How many tokens came between two moments."""
    return sum(began < event.at < ended for event in stream.named("token"))


def now() -> float:
    """The time on the clock that stamps events."""
    return time.monotonic()


_WORDS = (
    "bees fly over the wide meadow where old trees stand beside a river and children count "
    "white stones while an honest baker carries warm bread home through quiet evening light"
)


def prompt_of_words(count: int, seed: int = 0) -> str:
    """Return the same text for the same arguments; most of these words are one token here."""
    words = _WORDS.split()
    choose = random.Random(seed)
    return " ".join(choose.choice(words) for _ in range(count))


class CallbackListener(ThreadingHTTPServer):
    """`received` is each callback's body, `moments` when it came; `ready_then` what /v1/ready said
    then. Without `answers` it hangs up on each."""

    daemon_threads = True

    def __init__(self, address: str, port: int, key: str, answers: bool = True) -> None:
        super().__init__((address, port), _Handler)
        self.url = f"http://{address}:{port}"
        self.key = key
        self.answers = answers
        self.received: list[dict[str, Any]] = []
        self.moments: list[float] = []
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
        self.server.moments.append(time.monotonic())
        self.server.received.append(body)
        if not self.server.answers:
            self.close_connection = True
            return
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


def start_by_hand(world: World, flags: str) -> Run:
    """Start a worker with these flags, and listening."""
    return world.start_daemon(f"llm-worker-rbee --model {bundled_path()} {flags}")
