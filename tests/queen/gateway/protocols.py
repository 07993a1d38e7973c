"""Every protocol as a client meets it: where it asks, what little it must say, what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Body = dict[str, Any]
# Any JSON at all, for bodies that nobody should send.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)

SAID = [{"role": "user", "content": "Hi"}]


@dataclass(frozen=True)
class Protocol:
    """`asked` is the smallest request for an answer, and `content` the same request with this as
    what the user says. `text` finds what a reply, or an event of a stream, says; `error` the
    message and our part of an error, whose shape it asserts."""

    name: str
    path: str
    asked: Body
    content: Callable[[Any], Body]
    text: Callable[[Body], str | None]
    error: Callable[[Body], tuple[str, Body]]
    comments: bool = True

    def __str__(self) -> str:
        return self.name

    def events(self, body: str) -> list[Body]:
        """The JSON of each event or line of a stream."""
        lines = body.splitlines() if not self.comments else _data(body)
        return [json.loads(line) for line in lines if line != "[DONE]"]

    def failed(self, body: str) -> tuple[str, Body]:
        """The error that is the last event of a stream."""
        last = self.events(body)[-1]
        if last.get("type") == "response.failed":
            error = last["response"]["error"]
            return error["message"], error["rbee"]
        return self.error(last)


def _data(body: str) -> list[str]:
    lines = [line for line in body.splitlines() if line and not line.startswith((":", "event: "))]
    assert all(line.startswith("data: ") for line in lines), body
    return [line.removeprefix("data: ") for line in lines]


def _inside(body: Body, fields: Sequence[str]) -> tuple[str, Body]:
    error = body["error"]
    assert set(error) == {"message", "rbee", *fields}, body
    return error["message"], error["rbee"]


def _openai(body: Body) -> tuple[str, Body]:
    assert set(body) == {"error"}, body
    return _inside(body, ("type", "param", "code"))


def _anthropic(body: Body) -> tuple[str, Body]:
    assert set(body) == {"type", "error", "request_id"} and body["type"] == "error", body
    return _inside(body, ("type",))


def _ollama(body: Body) -> tuple[str, Body]:
    assert set(body) == {"error", "rbee"}, body
    return body["error"], body["rbee"]


def _llama(body: Body) -> tuple[str, Body]:
    assert set(body) == {"error"}, body
    return _inside(body, ("type", "code"))


def _of_chat(body: Body) -> str | None:
    choices = body["choices"]
    return choices[0].get("message", choices[0].get("delta")).get("content") if choices else None


def _of_response(body: Body) -> str | None:
    if body.get("type") is not None:
        return body["delta"] if body["type"] == "response.output_text.delta" else None
    return "".join(part["text"] for item in body["output"] for part in item["content"])


def _of_message(body: Body) -> str | None:
    if body["type"] == "message":
        return "".join(block["text"] for block in body["content"])
    return body["delta"].get("text") if body["type"] == "content_block_delta" else None


def _messages(content: Any) -> list[Body]:
    return [{"role": "user", "content": content}]


CHAT = Protocol(
    "OpenAI's chat",
    "/v1/chat/completions",
    {"messages": SAID},
    lambda content: {"messages": _messages(content)},
    _of_chat,
    _openai,
)
COMPLETION = Protocol(
    "OpenAI's completions",
    "/v1/completions",
    {"prompt": "Hi"},
    lambda content: {"prompt": content},
    lambda body: body["choices"][0]["text"],
    _openai,
)
RESPONSES = Protocol(
    "OpenAI's Responses",
    "/v1/responses",
    {"input": "Hi"},
    lambda content: {"input": _messages(content)},
    _of_response,
    _openai,
)
MESSAGES = Protocol(
    "Anthropic's messages",
    "/v1/messages",
    {"max_tokens": 9, "messages": SAID},
    lambda content: {"max_tokens": 9, "messages": _messages(content)},
    _of_message,
    _anthropic,
)
OLLAMA_CHAT = Protocol(
    "Ollama's chat",
    "/api/chat",
    {"messages": SAID, "stream": False},
    lambda content: {"messages": _messages(content), "stream": False},
    lambda body: body["message"]["content"],
    _ollama,
    comments=False,
)
OLLAMA_GENERATE = Protocol(
    "Ollama's generate",
    "/api/generate",
    {"prompt": "Hi", "stream": False},
    lambda content: {"prompt": content, "stream": False},
    lambda body: body["response"],
    _ollama,
    comments=False,
)
LLAMA = Protocol(
    "llama.cpp's completion",
    "/completion",
    {"prompt": "Hi"},
    lambda content: {"prompt": content},
    lambda body: body["content"],
    _llama,
)
PROTOCOLS = [CHAT, COMPLETION, RESPONSES, MESSAGES, OLLAMA_CHAT, OLLAMA_GENERATE, LLAMA]
