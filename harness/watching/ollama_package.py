"""Ollama's own package as a client of the queen, and what its protocol promises of a stream.

The package takes half a second to import, so that happens where it is used.
"""

import asyncio
import json
import select
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from harness.watching import channels
from harness.watching.raw_requests import bearer, send
from harness.world import cluster
from harness.world.http_client import Reply, open_call
from harness.world.waiting import let_pass, wait_until
from harness.world.world import World

QUESTION = [{"role": "user", "content": "Say something nice about cats."}]
MODEL = "smollm2"
Found = dict[str, Any]
# How far a time that is told may be from the clock of this harness.
_LONGEST_S = 300
_IDLE_S = 0.6

_FIGURES = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)
_DETAILS = (
    "parent_model",
    "format",
    "family",
    "families",
    "parameter_size",
    "quantization_level",
)
ROUTES = [
    *(f"POST /api/{name}" for name in ("chat", "generate", "embed", "embeddings", "show", "pull")),
    *(f"GET /api/{name}" for name in ("version", "tags", "ps")),
    "DELETE /api/delete",
    *(f"POST /api/{name}" for name in ("create", "copy", "push", "blobs/sha256:0")),
    "GET /",
]


class OllamaPackage:
    """Its clients, in turn and asynchronous."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key
        self._how: Found = {"host": url, "headers": bearer(key), "timeout": 60}

    @property
    def client(self) -> Any:
        from ollama import Client

        return Client(**self._how)

    def ask(self, route: str, fields: Mapping[str, Any]) -> Found:
        """The whole reply of chat or generate; the package checks it with its type."""
        return _plain(getattr(self.client, route)(**_asked(route, fields)))

    def parts(self, route: str, fields: Mapping[str, Any]) -> list[Found]:
        """The parts of the stream."""
        found = getattr(self.client, route)(**_asked(route, fields), stream=True)
        return [_plain(part) for part in found]

    def timed(self, fields: Mapping[str, Any]) -> tuple[Found, float, float]:
        """The last part of a chat's stream, and how many seconds the harness waited for the first
        part, and from there for the last."""
        began = time.monotonic()
        stream = self.client.chat(**_asked("chat", fields), stream=True)
        next(stream)
        first = time.monotonic()
        *_, last = stream
        return _plain(last), first - began, time.monotonic() - first

    def asynchronously(self, route: str, fields: Mapping[str, Any]) -> tuple[Found, list[Found]]:
        """The reply and the parts of the asynchronous client."""
        from ollama import AsyncClient

        async def ask() -> tuple[Found, list[Found]]:
            call = getattr(AsyncClient(**self._how), route)
            whole = await call(**_asked(route, fields))
            stream = await call(**_asked(route, fields), stream=True)
            return _plain(whole), [_plain(part) async for part in stream]

        return asyncio.run(ask())

    def close_in_the_middle(self, fields: Mapping[str, Any], after: int) -> None:
        """Read so many parts of a stream, and close it."""
        stream = self.client.chat(**_asked("chat", fields), stream=True)
        for _ in range(after):
            next(stream)
        stream.close()

    def call(self, name: str, *values: Any, **fields: Any) -> Found:
        """What another method of the package returns."""
        return _plain(getattr(self.client, name)(*values, **fields))

    def call_all(self, name: str, **fields: Any) -> list[Found]:
        """What another method of the package streams."""
        return [_plain(each) for each in getattr(self.client, name)(**fields)]

    def refusal(self, name: str, fields: Mapping[str, Any]) -> tuple[int, str]:
        """Status and text of the exception with which a call is refused."""
        import ollama

        try:
            found = getattr(self.client, name)(**fields)
            list(found) if fields.get("stream") else None
        except ollama.ResponseError as error:
            return error.status_code, error.error
        raise AssertionError(f"{name} with {fields} was answered")

    def raw(self, route: str, body: Mapping[str, Any] | None = None) -> Reply:
        """What a route answers, as it stands on the wire."""
        method, path = route.split()
        sent = None if body is None else json.dumps(body).encode()
        return send(method, self._url + path, bearer(self._key), sent)


class WaitingChat:
    """A chat that streams lines, while its answer is waited for. `opened_after` is how many seconds
    it took until the headers came."""

    def __init__(self, url: str, key: str, fields: Mapping[str, Any]) -> None:
        body, began = _asked("chat", fields), time.monotonic()
        opened = open_call("POST", f"{url}/api/chat", body, key, 30)
        self.opened_after = time.monotonic() - began
        self._connection, self._response, self._socket = opened
        self.status = self._response.status

    def is_silent(self, for_s: float) -> bool:
        """Whether not a byte comes within so many seconds."""
        return not select.select([self._socket], [], [], for_s)[0]

    def lines(self) -> list[Found]:
        """All of them, to the end."""
        try:
            body = self._response.read()
            return lines(Reply(self.status, self._response.headers, body))
        finally:
            self._connection.close()


def _asked(route: str, fields: Mapping[str, Any]) -> Found:
    question = {"messages": QUESTION} if route == "chat" else {"prompt": "Once upon a time"}
    return {"model": MODEL, **question, **fields}


def _plain(found: Any) -> Found:
    return dict(found.model_dump(mode="json", exclude_none=True))


def lines(reply: Reply) -> list[Found]:
    """The lines of a stream, each of them JSON, and none empty."""
    kind = reply.headers["content-type"]
    assert kind == "application/x-ndjson", kind
    text = reply.body.decode()
    assert text.endswith("\n") and "\n\n" not in text, text
    return [dict(json.loads(line)) for line in text.splitlines()]


def disorder(parts: Sequence[Found]) -> str:
    """What is wrong with the parts of an answer; "" if nothing is."""
    *body, last = parts
    if not last["done"] or last.get("done_reason") not in ("stop", "length"):
        return f"the last part is {last}"
    if any(type(last.get(name)) is not int or last[name] < 0 for name in _FIGURES):
        return f"the figures are {last}"
    if last["total_duration"] < last["eval_duration"] + last["load_duration"]:
        return f"the durations are {last}"
    if any(part["done"] or "done_reason" in part or "eval_count" in part for part in body):
        return f"a part before the last has figures: {body}"
    empty = [part for part in body if not any(said(part).values())]
    return f"empty: {empty}" if empty else ""


def said(part: Found) -> Found:
    """What a part says: text, reasoning, and calls."""
    message = part.get("message", part)
    calls = [call["function"] for call in message.get("tool_calls", [])]
    text = message.get("content", part.get("response", ""))
    return {"text": text, "thinking": message.get("thinking", ""), "calls": calls}


def gathered(parts: Sequence[Found]) -> Found:
    """What all parts say together."""
    found = [said(part) for part in parts]
    return {
        "text": "".join(each["text"] for each in found),
        "thinking": "".join(each["thinking"] for each in found),
        "calls": [call for each in found for call in each["calls"]],
    }


def call_problems(found: Found) -> list[str]:
    """What is wrong with an answer that must be calls of the functions of `channels`."""
    if found["text"] or not found["calls"]:
        return [f"not calls: {found}"]
    problems = (channels.problem(c["name"], json.dumps(c["arguments"])) for c in found["calls"])
    return [wrong for wrong in problems if wrong]


def details_problem(details: Found) -> str:
    """What strict clients would not take of a model's details; "" if nothing."""
    missing = [name for name in _DETAILS if name not in details]
    empty = [name for name in _DETAILS[1:] if not details.get(name)]
    return f"missing {missing}, empty {empty}" if missing or empty else ""


def with_wrong_keys(url: str) -> dict[str, tuple[int, bool]]:
    """What every route answers to keys that are not the key: the status, and whether the error is
    in Ollama's shape."""
    found = {}
    for route in ROUTES:
        method, path = route.split()
        for header in (bearer("wrong"), {"X-Api-Key": "wrong"}, {}):
            reply = send(method, url + path, header, b"{}" if method == "POST" else None)
            found[f"{route} with {header}"] = (reply.status, in_shape(reply))
    return found


def seconds_left(running: Found) -> float:
    """Until the time that is told of a model in memory."""
    return datetime.fromisoformat(running["expires_at"]).timestamp() - time.time()


def made_now(told: str) -> bool:
    """Whether a time that is told is the present one."""
    return abs(datetime.fromisoformat(told).timestamp() - time.time()) < _LONGEST_S


def stays(world: World, keep_alive: str) -> tuple[float, float]:
    """How many seconds a model that is loaded so is told to stay in memory, and stays. The moment
    that is told does not move while it is idle."""
    package = OllamaPackage(world.queen_url, world.key)
    package.ask("generate", {"prompt": "", "keep_alive": keep_alive})
    (found,) = package.raw("GET /api/ps").json["models"]
    told, began = seconds_left(found), time.monotonic()
    let_pass(_IDLE_S)
    (later,) = package.raw("GET /api/ps").json["models"]
    passed = told - seconds_left(later)
    assert abs(passed - (time.monotonic() - began)) < _IDLE_S / 2, (found, later)
    wait_until("the model to leave", lambda: cluster.workers(world), 20, lambda rows: not rows)
    return told, time.monotonic() - began


def in_shape(reply: Reply) -> bool:
    """Whether it is an error of the protocol, with ours inside."""
    body = reply.json
    return set(body) == {"error", "rbee"} and bool(body["error"]) and bool(body["rbee"]["code"])
