"""What a model is asked, and how: the queen's task and the worker's inference."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from rbee.contract.workers import ContextLength

StopText = Annotated[str, Meta(min_length=1, max_length=256)]
FunctionName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:/-]{1,128}\Z")]
TokenId = Annotated[int, Meta(ge=0, le=0x7FFF_FFFF)]
Prompt = (
    Annotated[str, Meta(min_length=1, max_length=8_000_000)]
    | Annotated[list[TokenId], Meta(min_length=1, max_length=8_000_000)]
)
_TOKEN_ID = r"(?a)[0-9]{1,10}\Z"
RequestId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]


class FunctionCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model wants to call. `arguments` is JSON, as text."""

    name: FunctionName
    arguments: Annotated[str, Meta(max_length=8_000_000)] = "{}"


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that an earlier turn of the assistant made."""

    function: FunctionCall
    id: Annotated[str, Meta(max_length=256)] = ""
    type: Literal["function"] = "function"


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One turn of a conversation, for the model's chat template.

    An assistant's turn may have `tool_calls` and no content. A turn of the role `tool` answers the
    call `tool_call_id`.
    """

    role: Annotated[str, Meta(min_length=1, max_length=32)]
    content: Annotated[str, Meta(max_length=8_000_000)] | None = None
    name: Annotated[str, Meta(max_length=256)] | None = None
    reasoning_content: Annotated[str, Meta(max_length=8_000_000)] | None = None
    tool_calls: Annotated[list[ToolCall], Meta(max_length=256)] = []
    tool_call_id: Annotated[str, Meta(max_length=256)] | None = None

    def __post_init__(self) -> None:
        if self.content is None and not self.tool_calls:
            raise ValueError("content: Expected a text, or tool_calls")


class Function(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function that a model may call. `parameters` is a JSON schema. With `strict` the arguments
    are held to it by a grammar."""

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] = {}
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    function: Function
    type: Literal["function"] = "function"


class NamedFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: FunctionName


class NamedTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `tool_choice` that asks for a call of this function."""

    function: NamedFunction
    type: Literal["function"] = "function"


class JsonSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: dict[str, Any] = {}
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What form an answer has: any text, a JSON object, or JSON after a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    def __post_init__(self) -> None:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema: Expected exactly with the type json_schema")


class Sampling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What both kinds of request share. Give exactly one of `prompt` and `messages`. A prompt may
    spell out control tokens; what messages say is text, and only the model's chat template writes
    control tokens around it. A prompt may also be the ids of its tokens.

    `temperature` 0 is greedy. `repeat_penalty` counts the last 64 tokens of the answer,
    `presence_penalty` and `frequency_penalty` all of them. `keep_alive` is how long the model may
    stay in memory while idle: seconds, or a text such as "10m"; 0 stops the worker at once, a
    negative value keeps it.

    `grammar` (GBNF) and `response_format` hold the answer to a form; give at most one. The answer
    ends where its form is complete. `logit_bias` adds to the logits of tokens, by their ids as
    text; -100 forbids one. `logprobs` asks for each token's probability, and for those of so many
    likeliest tokens: as the model gave them, before grammar, bias, penalties and temperature.
    `tools` are functions that the model may call, as `tool_choice` says; a function named there is
    called once. Nothing here runs them.
    With `continue_final_message` the answer goes on from the last message, which is the
    assistant's.
    `think` turns a model's reasoning on or off, if its chat template can. `chat_template_kwargs`
    are further variables for that template.
    """

    prompt: Prompt | None = None
    messages: Annotated[list[Message], Meta(min_length=1, max_length=10_000)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] = 512
    temperature: Annotated[float, Meta(ge=0, le=5)] = 0.7
    top_p: Annotated[float, Meta(gt=0, le=1)] = 0.95
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] = 40
    min_p: Annotated[float, Meta(ge=0, le=1)] = 0.05
    repeat_penalty: Annotated[float, Meta(gt=0, le=10)] = 1.0
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] = 0.0
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] = 0.0
    logit_bias: Annotated[dict[str, float], Meta(max_length=1024)] = {}
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    grammar: Annotated[str, Meta(min_length=1, max_length=1_000_000)] | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool], Meta(max_length=512)] = []
    tool_choice: Literal["auto", "none", "required"] | NamedTool = "auto"
    parallel_tool_calls: bool = True
    continue_final_message: bool | None = None
    think: bool | None = None
    chat_template_kwargs: Annotated[dict[str, Any], Meta(max_length=64)] = {}
    seed: Annotated[int, Meta(ge=0, le=0xFFFF_FFFE)] | None = None
    stop: Annotated[list[StopText], Meta(max_length=64)] = []
    ignore_eos: bool = False
    cache_prompt: bool = True
    keep_alive: float | str | None = None

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("prompt: Expected exactly one of prompt and messages")
        formed = self.response_format is not None and self.response_format.type != "text"
        if formed and self.grammar is not None:
            raise ValueError("grammar: Expected at most one of grammar and response_format")
        if self.ignore_eos and (formed or self.grammar is not None):
            raise ValueError("ignore_eos: Expected false, because the form says where it ends")
        for token, bias in self.logit_bias.items():
            if not re.match(_TOKEN_ID, token) or not -100 <= bias <= 100:
                raise ValueError(
                    "logit_bias: Expected ids of tokens, with numbers from -100 to 100"
                )
        if self.keep_alive is not None:
            keep_alive_s(self.keep_alive)
        self._check_tools()
        if self.continue_final_message:
            *before, last = self.messages or [Message("user", "")]
            if not before or last.role != "assistant" or last.tool_calls:
                raise ValueError(
                    "continue_final_message: Expected messages, with a text of the assistant last"
                )

    def _check_tools(self) -> None:
        names = [tool.function.name for tool in self.tools]
        if len(set(names)) < len(names):
            raise ValueError("tools: Expected functions with different names")
        if isinstance(self.tool_choice, NamedTool):
            if self.tool_choice.function.name not in names:
                raise ValueError("tool_choice: Expected the name of one of the tools")
        elif self.tool_choice == "required" and not names:
            raise ValueError("tool_choice: Expected tools to choose from")
        if names and self.messages is None:
            raise ValueError("tools: Expected messages, because a raw prompt tells of no tools")
        if names and self.grammar is not None and self.tool_choice != "none":
            raise ValueError(
                "grammar: Expected none with tools, whose calls have a form of their own"
            )
        if self.ignore_eos and self.tool_choice not in ("auto", "none"):
            raise ValueError("ignore_eos: Expected false, because the last call is the end")


class InferenceRequest(Sampling, frozen=True, kw_only=True):
    """POST /v1/inference of a worker."""

    request_id: RequestId | None = None
    stream: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.stream:
            raise ValueError("stream: Expected true, because an answer is always a stream")


class TaskRequest(Sampling, frozen=True, kw_only=True):
    """POST /v2/tasks of the queen. Without `node` or `model` the queen chooses; with `explain` it
    says why. `context`: only a worker with at least so many tokens of context answers; if none
    runs, one is started. `force`: load the model even if it may not fit in memory. Tasks of one
    `session`, a text of yours, go to the worker that answered the last of them, as long as it has a
    free slot."""

    node: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    model: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    backend: Annotated[str, Meta(min_length=1, max_length=32)] | None = None
    device: Annotated[int, Meta(ge=0, le=255)] | None = None
    context: ContextLength | None = None
    force: bool = False
    explain: bool = False
    session: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None

    def inference(self, request_id: str) -> InferenceRequest:
        """The same request, as the worker gets it."""
        shared = {name: getattr(self, name) for name in Sampling.__struct_fields__}
        return InferenceRequest(request_id=request_id, **shared)


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def keep_alive_s(value: float | str) -> float:
    """Seconds from a number or from a text such as "90", "90s", "10m", "1h"; raises ValueError."""
    number, unit = str(value), ""
    if number[-1:] in _UNITS:
        number, unit = number[:-1], number[-1:]
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError('keep_alive: Expected seconds or a text such as "10m"')
    return seconds
