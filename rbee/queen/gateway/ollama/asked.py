"""Ollama's requests as tasks: each field where a task has it, and what can't be had refused by its
name in the protocol."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from rbee.contract.embeddings import LARGEST_LENGTH, EmbeddingRequest
from rbee.contract.errors import InvalidRequest
from rbee.contract.ollama import (
    OfferedTool,
    OllamaAsked,
    OllamaCall,
    OllamaChat,
    OllamaChosenTool,
    OllamaEmbed,
    OllamaGenerate,
    OllamaMessage,
    Options,
)
from rbee.contract.tasks import TaskRequest
from rbee.contract.validation import convert
from rbee.queen.gateway.fields import CHAT_TOKENS, given, task
from rbee.queen.gateway.ollama import conversation
from rbee.queen.gateway.ollama.conversation import Turn
from rbee.queen.gateway.ollama.values import seconds

_SAME = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
)
_WHOLE = ("top_k", "seed", "num_predict")
_EFFORTS = ("low", "medium", "high")
_NO_IMAGES = "rbee can't run models that see images yet"
# A task's names for fields that are among the options here, or are called otherwise.
_NAMES = {
    "max_tokens": "options.num_predict",
    "logprobs": "top_logprobs",
    "response_format": "format",
    "response_format.json_schema.schema": "format",
    **{name: f"options.{name}" for name in (*_SAME, "seed", "stop")},
}


def chat_name(field: str) -> str:
    """What a chat calls a field of a task."""
    return "messages" if field == "prompt" else _NAMES.get(field, field)


def generate_name(field: str) -> str:
    """What a prompt calls a field of a task."""
    return "prompt" if field.startswith("messages") else _NAMES.get(field, field)


def chat_task(asked: OllamaChat, model: str) -> TaskRequest:
    """A conversation. Raises INVALID_REQUEST."""
    fields = _shared(asked, model)
    fields["messages"] = _messages(asked.messages or [])
    if _is_begun(fields["messages"]):
        fields["continue_final_message"] = True
    if asked.tools:
        fields["tools"] = [_tool(tool) for tool in asked.tools]
    if asked.tool_choice is not None:
        fields["tool_choice"] = _choice(asked.tool_choice)
        if asked.tool_choice == "required":
            # A small model that must call would go on calling.
            fields["parallel_tool_calls"] = False
    return task(fields, _NAMES)


def generate_task(asked: OllamaGenerate, model: str) -> TaskRequest:
    """A prompt: raw, or as a conversation. Raises INVALID_REQUEST."""
    _refuse(asked)
    fields = _shared(asked, model)
    if asked.raw:
        if asked.context:
            message = "Expected none with raw, whose prompt is all there is"
            raise InvalidRequest.of("context", "none", message)
        fields["prompt"] = asked.prompt
        fields.pop("think", None)  # a raw prompt has no template that could be told
        fields.pop("chat_template_kwargs", None)
    else:
        fields["messages"] = [msgspec.to_builtins(turn) for turn in turns_of(asked)]
    return task(fields, {**_NAMES, "messages": "prompt"})


def load_task(asked: OllamaAsked, model: str) -> TaskRequest:
    """The smallest task there is: a worker learns `keep_alive` from tasks only."""
    fields: dict[str, Any] = {"model": model, "prompt": " ", "max_tokens": 1, "cache_prompt": False}
    if asked.keep_alive is not None:
        fields["keep_alive"] = seconds(asked.keep_alive)
    return task(fields, {})


def turns_of(asked: OllamaGenerate) -> list[Turn]:
    """The conversation that a prompt goes on with: a system prompt, if one is given, replaces the
    one of the context."""
    turns = conversation.read(asked.context) if asked.context else []
    if asked.system:
        turns = [Turn("system", asked.system), *(turn for turn in turns if turn.role != "system")]
    return [*turns, Turn("user", asked.prompt or "")]


def embedding_request(asked: OllamaEmbed) -> EmbeddingRequest | None:
    """What a worker is asked; None if there is no text. Raises INVALID_REQUEST."""
    if not asked.input:
        return None
    fields = {
        "input": asked.input,
        "dimensions": asked.dimensions,
        "truncate": asked.truncate is not False,
        "max_length": _length(asked.options or Options()),
    }
    return convert(fields, EmbeddingRequest)


def _length(options: Options) -> int | None:
    if options.num_ctx is None or options.num_ctx <= 0:
        return None
    return min(_whole("num_ctx", options.num_ctx), LARGEST_LENGTH)


def _refuse(asked: OllamaGenerate) -> None:
    if asked.suffix:
        raise InvalidRequest.of("suffix", "none", "Filling in before a suffix is not supported")
    if asked.template:
        message = "Templates are not supported: use the model's own, or write the prompt with raw"
        raise InvalidRequest.of("template", "none", message)
    if asked.images:
        raise InvalidRequest.of("images", "none", _NO_IMAGES)


def _shared(asked: OllamaAsked, model: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": model, **_options(asked.options or Options())}
    if asked.keep_alive is not None:
        fields["keep_alive"] = seconds(asked.keep_alive)
    if asked.format:
        fields["response_format"] = _form(asked.format)
    if asked.logprobs:
        fields["logprobs"] = asked.top_logprobs or 0
    return fields | _thinking(asked.think)


def _options(options: Options) -> dict[str, Any]:
    found = given(options)
    for name in _WHOLE:
        if name in found:
            found[name] = _whole(name, found[name])
    fields = {name: found[name] for name in _SAME if name in found}
    if found.get("top_p") == 0:  # nothing but the likeliest token
        del fields["top_p"]
        fields["top_k"] = 1
    elif fields.get("top_k", 0) < 0:
        fields["top_k"] = 0
    if found.get("seed", -1) >= 0:
        fields["seed"] = found["seed"]
    tokens = found.get("num_predict", -1)
    fields["max_tokens"] = tokens if tokens > 0 else CHAT_TOKENS
    stops = found.get("stop", [])
    fields["stop"] = [stop for stop in ([stops] if isinstance(stops, str) else stops) if stop]
    return fields


def _whole(name: str, value: float) -> int:
    """A count, which some clients write as 40.0."""
    if not math.isfinite(value) or value != int(value):
        raise InvalidRequest.of(
            f"options.{name}", "a whole number", "Expected a whole number", value
        )
    return int(value)


def _form(asked: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(asked, dict):
        return {"type": "json_schema", "json_schema": {"schema": asked}}
    if asked == "json":
        return {"type": "json_object"}
    raise InvalidRequest.of("format", '"json", or a schema', 'Expected "json" or a schema', asked)


def _thinking(asked: bool | str | None) -> dict[str, Any]:
    if asked is None or asked == "":
        return {}
    if isinstance(asked, bool):
        return {"think": asked}
    if asked in _EFFORTS:
        return {"think": True, "chat_template_kwargs": {"reasoning_effort": asked}}
    limit = f"true, false or one of {', '.join(_EFFORTS)}"
    raise InvalidRequest.of("think", limit, f"Expected {limit}", asked)


def _choice(asked: str | OllamaChosenTool) -> str | dict[str, Any]:
    if isinstance(asked, str):
        return asked
    name = asked.name if asked.function is None else asked.function.name
    if name is None:
        message = "Expected the name of a function"
        raise InvalidRequest.of("tool_choice.function.name", "a name", message)
    return {"type": asked.type, "function": {"name": name}}


def _messages(said: Sequence[OllamaMessage]) -> list[dict[str, Any]]:
    """The turns, with each answer of a tool tied to its call: by its id, or else by its name."""
    found: list[dict[str, Any]] = []
    open_calls: dict[str, str] = {}
    for at, message in enumerate(said):
        if message.images:
            raise InvalidRequest.of(f"messages[{at}].images", "none", _NO_IMAGES)
        turn: dict[str, Any] = {"role": message.role, "content": message.content or ""}
        if message.thinking:
            turn["reasoning_content"] = message.thinking
        if message.tool_calls:
            turn["tool_calls"] = [
                _call(f"call{at:03d}{place:02d}", call)
                for place, call in enumerate(message.tool_calls)
            ]
            open_calls = {call["id"]: call["function"]["name"] for call in turn["tool_calls"]}
            turn["content"] = message.content or None
        if message.role == "tool":
            turn |= _answered(message, open_calls)
        found.append(turn)
    return found


def _is_begun(messages: Sequence[dict[str, Any]]) -> bool:
    """Whether the answer goes on with what the assistant has said last."""
    *before, last = messages
    return bool(before and last["role"] == "assistant" and last["content"]) and (
        "tool_calls" not in last
    )


def _answered(message: OllamaMessage, open_calls: dict[str, str]) -> dict[str, Any]:
    """Which call a tool's answer is for. It is taken from those that are open."""
    wanted, name = message.tool_call_id, message.tool_name
    if not wanted:
        fitting = (each for each, called in open_calls.items() if name in (None, "", called))
        wanted = next(fitting, None)
    if wanted in open_calls:
        name = open_calls.pop(wanted)
    fields = {"tool_call_id": wanted, "name": name}
    return {key: value for key, value in fields.items() if value}


def _call(call_id: str, call: OllamaCall) -> dict[str, Any]:
    arguments = call.function.arguments
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments or {}, ensure_ascii=False)
    function = {"name": call.function.name, "arguments": arguments or "{}"}
    return {"id": call.id or call_id, "type": "function", "function": function}


def _tool(tool: OfferedTool) -> dict[str, Any]:
    return {"type": "function", "function": given(tool.function)}
