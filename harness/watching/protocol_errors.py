"""The routes of OpenAI's protocol, asked as no package would ask them, and the shape of errors."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from harness.watching.raw_requests import bearer, send
from harness.world.http_client import Reply

ROUTES = [
    *(
        f"POST {prefix}/{name}"
        for prefix in ("/v1", "")
        for name in (
            "chat/completions",
            "completions",
            "embeddings",
            "rerank",
            "responses",
            "responses/input_tokens",
        )
    ),
    "GET /v1/models",
    "GET /models",
    "GET /v1/models/smollm2",
]


def shaped(reply: Reply) -> tuple[int, str]:
    """Status and code of a refusal; the code is what is wrong if it is not in OpenAI's shape, with
    ours inside."""
    wrong = f"not in shape: {reply.body[:300]!r}"
    try:
        error = reply.json["error"]
        right = set(error) == {"message", "type", "param", "code", "rbee"}
        right = right and set(error["rbee"]) == {"code", "details"} and bool(error["message"])
        right = right and error["rbee"]["code"] == error["code"].upper()
        right = right and error["type"] == "invalid_request_error"
    except (ValueError, KeyError, TypeError):
        right = False
    return reply.status, error["code"] if right else wrong


def with_wrong_keys(url: str) -> dict[str, tuple[int, str]]:
    """What every route answers to keys that are not the key."""
    found = {}
    for route in ROUTES:
        method, path = route.split()
        for header in (bearer("wrong"), {"X-Api-Key": "wrong"}, {}):
            body = b"{}" if method == "POST" else None
            reply = send(method, url + path, header, body)
            found[f"{route} with {header}"] = shaped(reply)
    return found


def with_odd_bodies(url: str, key: str, size: int) -> list[tuple[int, str]]:
    """What each route answers to a body that is not JSON, one to a body that is too long, and a
    path that is none."""
    found = []
    for route in ROUTES:
        method, path = route.split()
        if method == "POST":
            found.append(shaped(send(method, url + path, bearer(key), b'{"messages": [')))
    path = "/v1/chat/completions"
    found.append(shaped(send("POST", url + path, bearer(key), b" " * size)))
    return [*found, shaped(send("POST", f"{url}/v1/nothing", bearer(key), b"{}"))]


def get(url: str, headers: Mapping[str, str]) -> Reply:
    """A request with just these headers."""
    return send("GET", url, headers)


def least_ms(url: str, key: str) -> float:
    """Milliseconds from a request to its whole reply, the best of ten: other programs run on this
    machine, too."""
    return min(_took_ms(url, key) for _ in range(10))


def _took_ms(url: str, key: str) -> float:
    began = time.monotonic()
    reply = send("GET", url, bearer(key))
    assert reply.status == 200, reply
    return (time.monotonic() - began) * 1000


@contextlib.contextmanager
def asked(url: str, key: str, body: dict[str, Any]) -> Iterator[None]:
    """A request is sent, and its answer not waited for; leaving the block closes its connection."""
    parts = urlsplit(url)
    assert parts.hostname, url
    connection = HTTPConnection(parts.hostname, parts.port, timeout=20)
    headers = {**bearer(key), "Content-Type": "application/json"}
    try:
        connection.request("POST", parts.path, json.dumps(body), headers)
        yield
    finally:
        connection.close()
