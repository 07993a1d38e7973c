"""A worker that a person started by hand: no hive, no queen, only its own HTTP."""

import secrets
import time
from typing import Any

import psutil

from harness.model_files.shelf import bundled_path
from harness.world.calls import Reply
from harness.world.cluster import process_at
from harness.world.events import EventStream
from harness.world.waiting import wait_until
from harness.world.world import World


class HandWorker:
    """Listens and is ready. `status` follows what it says of its slots, from the first on."""

    def __init__(self, world: World, flags: str) -> None:
        self._world = world
        host = world.network.address(8)
        self.url = f"http://{host}:8001"
        if not world.key_file.exists():
            _write_key(world)
        self.run = world.start_daemon(
            f"llm-worker-rbee --model {bundled_path()} --host {host} --port 8001"
            f" --api-key-file {world.key_file} {flags}"
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
        """Greedy, and to the last token, unless `fields` say otherwise. It may be refused."""
        body = {"prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "ignore_eos": True}
        return self._world.stream("POST", f"{self.url}/v1/inference", {**body, **fields})

    def chat(self, messages: list[dict[str, str]], max_tokens: int) -> EventStream:
        """A conversation's next turn, asked and waited for."""
        body = {"messages": messages, "max_tokens": max_tokens, "temperature": 0}
        stream = self._world.stream("POST", f"{self.url}/v1/inference", body)
        assert stream.refused is None, stream.refused
        stream.wait_for_end(within=60)
        return stream

    def answer(self, prompt: str, max_tokens: int, **fields: object) -> EventStream:
        """Asked and waited for."""
        stream = self.ask(prompt, max_tokens, **fields)
        assert stream.refused is None, stream.refused
        stream.wait_for_end(within=60)
        return stream

    def free_slots(self) -> int:
        told = self.status.named("status")
        return int(told[-1].data["slots_available"]) if told else 0

    def wait_for_free(self, slots: int, within: float) -> float:
        """The moment at which the worker told that so many slots are free."""
        wait_until(
            f"{slots} free slots",
            lambda: [event.data for event in self.status.named("status")][-1:],
            within,
            lambda told: told and told[0]["slots_available"] == slots,
        )
        return self.status.named("status")[-1].at

    def wait_for_computing(self, cpu_s: float) -> None:
        """Until the worker has used so much processor time from now on: it is at work."""
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


def between(stream: EventStream, began: float, ended: float) -> int:
    """How many tokens came between two moments."""
    return sum(began < event.at < ended for event in stream.named("token"))


def now() -> float:
    """On the clock by which events are stamped."""
    return time.monotonic()


def _write_key(world: World) -> None:
    world.key_file.parent.mkdir(mode=0o700, exist_ok=True)
    world.key_file.touch(mode=0o600)
    world.key_file.write_text(secrets.token_urlsafe(32) + "\n")
