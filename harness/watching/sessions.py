"""Which worker answers the tasks of a session, and what a chat of a session finds in the cache."""

import json
import urllib.request
from typing import Any

from harness.model_files.bundled import BUNDLED
from harness.watching.named_keys import Holder
from harness.world import cluster
from harness.world.http_client import EventStream
from harness.world.waiting import wait_until
from harness.world.world import World

# What the programs of other people call a session.
HEADERS = (
    *("X-Session-Id", "X-Claude-Code-Session-Id", "X-Session-Affinity"),
    *("session-id", "session_id", "conversation_id"),
)
_LONG = {"max_tokens": 6000, "temperature": 0, "ignore_eos": True}


def stream(world: World, session: str, **fields: Any) -> EventStream:
    """A task of a session, once a worker has it."""
    task = {"prompt": "Once", "model": BUNDLED, "session": session, "max_tokens": 2, **fields}
    found = cluster.send_task(world, task)
    found.wait_for("started", 30)
    return found


def answered_by(world: World, session: str) -> str:
    """The worker of a short task of a session, which has ended."""
    found = stream(world, session)
    found.wait_for_end(30)
    return worker_of(found)


def both(world: World, long: str, short: str) -> tuple[str, str]:
    """The workers of a long task and of a short one that is answered while the long one streams;
    then the long one is canceled."""
    streaming = stream(world, long, **_LONG)
    streaming.wait_for("token", 30)
    found = answered_by(world, short)
    asked = streaming.named("started")[0].data["request_id"]
    reply = world.call("DELETE", f"{world.queen_url}/v2/tasks/{asked}")
    assert reply.status < 300, reply
    streaming.wait_for_end(10)
    return worker_of(streaming), found


def answered_by_key(world: World, session: str, holder: Holder) -> str:
    """The worker of a short task of a session, which the holder of another key asks for."""
    body = {"prompt": "Once", "model": BUNDLED, "session": session, "max_tokens": 2}
    found = holder.follows("POST", "/v2/tasks", body)
    found.wait_for_end(30)
    return worker_of(found)


def cached_by_slot(world: World, text: str, slot: int) -> float:
    """Which part of a prompt that is asked for twice, for one slot of llama.cpp's, was in the cache
    the second time. The first time the worker of first choice was busy."""
    streaming = stream(world, "a new one", **_LONG)
    streaming.wait_for("token", 30)
    url, body = f"{world.queen_url}/completion", {"prompt": text, "id_slot": slot, "n_predict": 1}
    first = world.call("POST", url, body, timeout=30)
    streaming.close()
    wait_until("the first choice to be free", lambda: _busy(world), 10, lambda busy: not busy)
    found = world.call("POST", url, body, timeout=30)
    assert (first.status, found.status) == (200, 200), (first, found)
    return float(found.json["timings"]["cache_n"] / found.json["tokens_evaluated"])


def _busy(world: World) -> list[Any]:
    return [row for row in cluster.queens_workers(world) if row["state"] == "busy"]


def worker_of(found: EventStream) -> str:
    return str(found.named("started")[0].data["worker_id"])


def cached_elsewhere(world: World, text: str, session: str) -> list[float]:
    """Which part of the same prompt was in the cache for a response and for a message of it."""
    response = {"model": "smollm2", "input": text, "max_output_tokens": 1}
    message = {"model": "smollm2", "messages": [{"role": "user", "content": text}], "max_tokens": 1}
    one, other = (
        world.call("POST", f"{world.queen_url}/v1/{route}", body, timeout=30).json["usage"]
        for route, body in (
            ("responses", {**response, "prompt_cache_key": session}),
            ("messages", {**message, "metadata": {"user_id": session}}),
        )
    )
    there = other["cache_read_input_tokens"]
    return [
        one["input_tokens_details"]["cached_tokens"] / one["input_tokens"],
        there / (other["input_tokens"] + there),
    ]


def cached(
    world: World, text: str, key: str = "", header: str = "", called: str = HEADERS[0]
) -> tuple[int, int]:
    """How many tokens of a chat's prompt were in the cache, and how many it has. The `header` of
    the session is `called` so."""
    body: dict[str, Any] = {"model": "smollm2", "max_tokens": 1}
    body |= {"messages": [{"role": "user", "content": text}]}
    if key:
        body["prompt_cache_key"] = key
    headers = {"Authorization": f"Bearer {world.key}", "Content-Type": "application/json"}
    if header:
        headers[called] = header
    url = f"{world.queen_url}/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        usage = json.load(reply)["usage"]
    return usage["prompt_tokens_details"]["cached_tokens"], usage["prompt_tokens"]
