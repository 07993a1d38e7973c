"""OpenAI's requests as tasks: each field where a task has it, and what can't be had refused by its
name in the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rbee.contract.embeddings import EmbeddingRequest, RerankRequest
from rbee.contract.errors import InvalidRequest
from rbee.contract.openai import (
    ChatFormat,
    ChatMessage,
    ChatRequest,
    ChatTool,
    CompletionRequest,
    ContentPart,
    EmbeddingsRequest,
    OpenAISampling,
    OpenAIShared,
    RankRequest,
)
from rbee.contract.tasks import TaskRequest
from rbee.contract.validation import convert
from rbee.queen.gateway.fields import CHAT_TOKENS, given, task

# As the protocol has it.
COMPLETION_TOKENS = 16
_MOST_CHOICES = 128
# Any whole number is a seed for a client, but this one, which asks for none; a task has as many.
_NO_SEED = -1
_SEEDS = 0xFFFF_FFFF
_SAME = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "grammar",
    "ignore_eos",
    "cache_prompt",
    "keep_alive",
)
# Templates know no finer steps, and some refuse what they do not know.
_EFFORTS = {"minimal": "low", "xhigh": "high", "max": "high"}
# How other servers write what a field does where it is not given.
_NO_LIMIT = -1


def chat_tasks(asked: ChatRequest, model: str) -> list[TaskRequest]:
    """A task for each choice. Raises INVALID_REQUEST."""
    _refuse(asked)
    names: dict[str, str] = {}
    fields = _shared(asked, model, CHAT_TOKENS)
    fields["messages"] = [_message(at, said) for at, said in enumerate(asked.messages)]
    if asked.max_completion_tokens not in (None, _NO_LIMIT):
        fields["max_tokens"] = asked.max_completion_tokens
        names["max_tokens"] = "max_completion_tokens"
    if asked.logprobs:
        fields["logprobs"] = asked.top_logprobs or 0
        names["logprobs"] = "top_logprobs"
    elif asked.top_logprobs:
        raise InvalidRequest.of(
            "top_logprobs", "logprobs", "Expected logprobs to be true", asked.top_logprobs
        )
    if asked.tools:
        fields["tools"] = [_tool(tool) for tool in asked.tools]
    if asked.tool_choice is not None:
        fields["tool_choice"] = msgspec.to_builtins(asked.tool_choice)
    if asked.parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = asked.parallel_tool_calls
    elif asked.tool_choice == "required":
        # A small model that must call would go on calling.
        fields["parallel_tool_calls"] = False
    if asked.response_format is not None:
        fields["response_format"] = _form(asked.response_format)
    fields |= reasoning(asked.reasoning_effort, asked.chat_template_kwargs)
    return _choices(fields, asked, names)


def _refuse(asked: ChatRequest) -> None:
    """What would change the answer, and can't be had. Raises INVALID_REQUEST."""
    if asked.functions:
        raise InvalidRequest.of("functions", "none", "Send tools instead of functions")
    if asked.function_call not in (None, "none", "auto"):
        message = "Send tool_choice instead of function_call"
        raise InvalidRequest.of("function_call", "none", message, asked.function_call)
    if other := [each for each in asked.modalities or () if each != "text"]:
        raise InvalidRequest.of("modalities", "text", "Answers are text only", other[0])


def completion_tasks(asked: CompletionRequest, model: str) -> list[TaskRequest]:
    """The tasks of each prompt, one for each choice. Raises INVALID_REQUEST."""
    prompts = prompts_of(asked)
    if asked.suffix:
        raise InvalidRequest.of("suffix", "none", "Filling in before a suffix is not supported")
    if (asked.best_of or 1) > (asked.n or 1):
        raise InvalidRequest.of("best_of", "at most n", "Expected at most n", asked.best_of)
    if asked.echo and not all(isinstance(prompt, str) for prompt in prompts):
        raise InvalidRequest.of("echo", "false", "A prompt of token ids can't be repeated as text")
    if asked.echo and asked.logprobs is not None:
        raise InvalidRequest.of("echo", "false", "The likelihoods of a prompt are not computed")
    if len(prompts) * (asked.n or 1) > _MOST_CHOICES:
        limit = f"at most {_MOST_CHOICES} choices"
        raise InvalidRequest.of("prompt", limit, f"Expected {limit} in all", len(prompts))
    fields = _shared(asked, model, COMPLETION_TOKENS)
    if asked.logprobs is not None:
        fields["logprobs"] = asked.logprobs
    found = []
    for at, prompt in enumerate(prompts):
        names = {"prompt": f"prompt[{at}]"} if len(prompts) > 1 else {}
        found += _choices({**fields, "prompt": prompt}, asked, names)
    return found


def prompts_of(asked: CompletionRequest) -> list[str | list[int]]:
    """Each prompt as text, or as the ids of its tokens. Raises INVALID_REQUEST for a mixture."""
    if isinstance(asked.prompt, str):
        return [asked.prompt]
    ids = [part for part in asked.prompt if isinstance(part, int)]
    if ids and len(ids) < len(asked.prompt):
        message = "Expected prompts, or the token ids of one prompt, but not both"
        raise InvalidRequest.of("prompt", "prompts or token ids", message)
    return [ids] if ids else [part for part in asked.prompt if not isinstance(part, int)]


def embedding_request(asked: EmbeddingsRequest) -> EmbeddingRequest:
    """What a worker is asked. Raises INVALID_REQUEST."""
    return convert(given(asked, without="model"), EmbeddingRequest)


def rerank_request(asked: RankRequest) -> RerankRequest:
    """What a worker is asked. Raises INVALID_REQUEST."""
    return convert(given(asked, without="model"), RerankRequest)


def shared(asked: OpenAIShared, model: str) -> dict[str, Any]:
    """The fields of a task that every request for an answer has in the same way."""
    fields: dict[str, Any] = {
        name: value for name in _SAME if (value := getattr(asked, name)) is not None
    }
    if asked.top_p == 0:  # nothing but the likeliest token
        del fields["top_p"]
        fields["top_k"] = 1
    elif asked.top_k == _NO_LIMIT:
        fields["top_k"] = 0
    if asked.stop is not None:
        stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop
        fields["stop"] = [stop for stop in stops if stop]
    return {**fields, "model": model}


def _shared(asked: OpenAISampling, model: str, max_tokens: int) -> dict[str, Any]:
    most = max_tokens if asked.max_tokens in (None, _NO_LIMIT) else asked.max_tokens
    return {**shared(asked, model), "max_tokens": most}


def seed(asked: int | None, at: int = 0) -> dict[str, int]:
    """The field of a task, for the choice `at` this place."""
    return {} if asked in (None, _NO_SEED) else {"seed": (asked + at) % _SEEDS}


def _choices(
    fields: Mapping[str, Any], asked: OpenAISampling, names: Mapping[str, str]
) -> list[TaskRequest]:
    """The same task once for each choice, with seeds of their own."""
    found = []
    for at in range(asked.n or 1):
        found.append(task({**fields, **seed(asked.seed, at)}, names))
    return found


def _message(at: int, said: ChatMessage) -> dict[str, Any]:
    fields = given(said)
    fields["role"] = "system" if said.role == "developer" else said.role
    if isinstance(said.content, list):
        parts = enumerate(said.content)
        fields["content"] = "\n".join(
            _text(f"messages[{at}].content[{place}]", part) for place, part in parts
        )
    elif said.content is None and said.role == "assistant" and not _calls(said):
        fields["content"] = ""  # it has refused, or was cut before its first word
    if said.function_call is not None:
        called = fields.pop("function_call")
        fields["tool_calls"] = [{"id": said.function_call.name, "function": called}]
    if said.role == "function":
        fields |= {"role": "tool", "tool_call_id": said.name or ""}
    for call in fields.get("tool_calls", ()):
        call["function"]["arguments"] = call["function"]["arguments"] or "{}"
    return fields


def _calls(said: ChatMessage) -> bool:
    return bool(said.tool_calls) or said.function_call is not None


def _text(field: str, part: ContentPart) -> str:
    if part.type in ("text", "refusal"):
        found = part.text if part.type == "text" else part.refusal
        if found is None:
            raise InvalidRequest.of(f"{field}.{part.type}", "a text", "Expected a text")
        return found
    message = f"rbee can't run models that read parts of the type {part.type!r} yet"
    raise InvalidRequest.of(f"{field}.type", "text", message, part.type)


def _tool(tool: ChatTool) -> dict[str, Any]:
    return {"type": tool.type, "function": given(tool.function)}


def _form(asked: ChatFormat) -> dict[str, Any]:
    """The form of an answer. llama.cpp's has the schema beside the type."""
    fields = given(asked)
    schema = fields.pop("schema", None)
    if schema and asked.type != "text" and asked.json_schema is None:
        return {"type": "json_schema", "json_schema": {"schema": schema}}
    return fields


def reasoning(effort: str | None, kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of a task for how much a model shall reason, and for its chat template."""
    fields: dict[str, Any] = {}
    variables = dict(kwargs or {})
    if effort is not None:
        fields["think"] = effort != "none"
        if effort != "none":
            variables.setdefault("reasoning_effort", _EFFORTS.get(effort, effort))
    if variables:
        fields["chat_template_kwargs"] = variables
    return fields
