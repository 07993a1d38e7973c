"""A request of the largest size that is read takes no time that others would notice: the queen
reads one request at a time, whoever sent it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rbee.contract.anthropic import MessagesRequest
from rbee.contract.errors import RbeeError
from rbee.contract.llama_cpp import LlamaCompletion, LlamaDetokenize, LlamaTokenize
from rbee.contract.ollama import ModelAsked, OllamaChat, OllamaEmbed, OllamaGenerate
from rbee.contract.openai import ChatRequest, CompletionRequest
from rbee.contract.responses import ResponsesRequest
from rbee.contract.validation import decode
from rbee.queen.gateway.anthropic.asked import message_task
from rbee.queen.gateway.ollama.asked import chat_task
from rbee.queen.gateway.openai.asked import chat_tasks
from rbee.queen.gateway.responses.asked import response_task
from rbee.queen.gateway.responses.tools import Tools
from rbee.runtime.server import LARGEST_BODY

# Of processor time, where a request of this size that is read once takes a tenth of a second.
_WITHIN_S = 2.0
_LONG = "a" * 1500
_USE = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
_FOREIGN = {"name": "a", "type": "b"}
_OWN = {"name": "a", "input_schema": {}}


def anthropic(body: bytes) -> None:
    message_task(decode(body, MessagesRequest), "m")


def ollama(body: bytes) -> None:
    chat_task(decode(body, OllamaChat), "m")


def openai(body: bytes) -> None:
    chat_tasks(decode(body, ChatRequest), "m")


def responses(body: bytes) -> None:
    asked = decode(body, ResponsesRequest)
    response_task(asked, "m", Tools(asked.tools or ()))


def turns(role: str, content: Any, count: int = 10_000) -> list[dict[str, Any]]:
    return [{"role": role, "content": content}] * count


def called(count: int, name: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "tool_calls": [{"function": {"name": name}}] * count}]


@pytest.mark.parametrize(
    ("ask", "fields"),
    [
        (anthropic, {"messages": turns("user", _LONG)}),
        (anthropic, {"messages": turns("system", _LONG)}),
        (anthropic, {"messages": turns("assistant", [_USE] * 10)}),
        (anthropic, {"messages": turns("user", [{"type": "text", "text": "a"}] * 500_000, 1)}),
        (
            anthropic,
            {"messages": turns("user", "hi", 1), "tools": [_FOREIGN] * 100_000 + [_OWN] * 100_000},
        ),
        (responses, {"input": turns("assistant", _LONG)}),
        (responses, {"input": turns("assistant", "a", 350_000)}),
        (responses, {"input": [{"type": "reasoning", "content": "a"}] * 350_000}),
        (responses, {"input": "hi", "tools": [{"type": "web_search"}] * 600_000}),
        (ollama, {"messages": called(100_000, "f") + turns("tool", "x", 9000)}),
        (ollama, {"messages": called(256, "f") + turns("tool", "x", 9999)}),
        (openai, {"messages": turns("user", _LONG)}),
        (openai, {"messages": called(100_000, "f") + turns("tool", "x", 9000)}),
    ],
)
def test_a_large_request_holds_nobody_up(
    ask: Callable[[bytes], None], fields: dict[str, Any]
) -> None:
    body = msgspec.json.encode({"max_tokens": 1, **fields})
    assert len(body) <= LARGEST_BODY
    began = time.thread_time()
    try:
        ask(body)
    except RbeeError as error:
        assert error.status == 400
    assert time.thread_time() - began < _WITHIN_S


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ChatRequest, {"messages": turns("user", "hi", 1)}),
        (CompletionRequest, {"prompt": "hi"}),
        (ResponsesRequest, {"input": "hi"}),
        (MessagesRequest, {"messages": turns("user", "hi", 1), "max_tokens": 1}),
        (OllamaChat, {}),
        (OllamaGenerate, {}),
        (OllamaEmbed, {}),
        (ModelAsked, {}),
        (LlamaCompletion, {"prompt": "hi"}),
        (LlamaTokenize, {"content": "hi"}),
        (LlamaDetokenize, {"tokens": []}),
    ],
)
def test_a_model_has_no_endless_name(kind: type[Any], body: dict[str, Any]) -> None:
    assert decode(msgspec.json.encode({**body, "model": "a" * 4096}), kind).model == "a" * 4096
    with pytest.raises(RbeeError) as caught:
        decode(msgspec.json.encode({**body, "model": "a" * 4097}), kind)
    [wrong] = caught.value.details["errors"]
    assert (wrong["field"], wrong["constraint"]) == ("model", "str of length <= 4096")
