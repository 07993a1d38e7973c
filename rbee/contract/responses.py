"""OpenAI's Responses, as the queen speaks them to other people's programs.

Requests ignore fields that are unknown here, and take null for a field that is not given. Nothing
is stored, so every request has the whole conversation.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from rbee.contract.openai import ChatLogprob, OpenAIShared, OurError

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]
Verbosity = Literal["low", "medium", "high"]


class ResponsePart(msgspec.Struct, frozen=True):
    """A part of what an item says. Text can be read, whoever said it, and an earlier refusal; other
    types are refused by name."""

    type: str
    text: str | None = None
    refusal: str | None = None


class InputItem(msgspec.Struct, frozen=True):
    """An item of a conversation: a `message` (a `role` alone means one), a `function_call`, its
    `function_call_output`, or `reasoning`. Calls belong to what the assistant said before them, and
    reasoning to what it said after. Other types are refused by name."""

    type: str | None = None
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[ResponsePart] | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    output: str | list[ResponsePart] | None = None
    summary: list[ResponsePart] | None = None


class ResponseTool(msgspec.Struct, frozen=True):
    """A function, or a `namespace` of some `tools`. Those of other types are ignored: nothing here
    runs them."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    tools: Annotated[list[ResponseTool], Meta(max_length=512)] | None = None


class ResponseToolChoice(msgspec.Struct, frozen=True):
    """A `function` that must be called, or the `allowed_tools`."""

    type: str
    name: str | None = None
    mode: Literal["auto", "required"] | None = None
    tools: Annotated[list[ResponseTool], Meta(max_length=512)] | None = None


class ReasoningWish(msgspec.Struct, frozen=True):
    """`effort` none turns a model's reasoning off, any other value turns it on. There are no
    summaries."""

    effort: Effort | None = None
    summary: str | None = None


class TextFormat(msgspec.Struct, frozen=True):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class TextWish(msgspec.Struct, frozen=True):
    """`verbosity` changes nothing."""

    format: TextFormat | None = None
    verbosity: Verbosity | None = None


class ResponsesRequest(OpenAIShared, frozen=True, kw_only=True):
    """POST /v1/responses. Without a limit, an answer ends after 4096 tokens. What would need an
    earlier response is refused: `previous_response_id`, `conversation`, `prompt`, and `background`
    true. `include` is looked at for `message.output_text.logprobs` only. `store`, `truncation`,
    `service_tier` and `max_tool_calls` change nothing, nor do `metadata` and `safety_identifier`,
    which the reply repeats."""

    input: str | Annotated[list[InputItem], Meta(max_length=10_000)] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    tools: Annotated[list[ResponseTool], Meta(max_length=512)] | None = None
    tool_choice: Literal["auto", "none", "required"] | ResponseToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: ReasoningWish | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    text: TextWish | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    include: list[str] | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    background: bool | None = None
    store: bool | None = None
    truncation: str | None = None
    service_tier: str | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, str] | None = None
    safety_identifier: str | None = None


class OutputText(msgspec.Struct, frozen=True, tag_field="type", tag="output_text"):
    """`logprobs` are those of its tokens, if they were asked for."""

    text: str
    annotations: list[Any] = []
    logprobs: list[ChatLogprob] = []


class ReasoningText(msgspec.Struct, frozen=True, tag_field="type", tag="reasoning_text"):
    text: str


class OutputMessage(msgspec.Struct, frozen=True, tag_field="type", tag="message"):
    id: str
    status: ItemStatus
    content: list[OutputText]
    role: Literal["assistant"] = "assistant"


class OutputCall(msgspec.Struct, frozen=True, tag_field="type", tag="function_call"):
    """A function that the model wants to call. `namespace` is null for one that stands in none."""

    id: str
    status: ItemStatus
    call_id: str
    name: str
    arguments: str
    namespace: str | None = None


class OutputReasoning(msgspec.Struct, frozen=True, tag_field="type", tag="reasoning"):
    """The reasoning itself, which is never encrypted."""

    id: str
    status: ItemStatus
    content: list[ReasoningText]
    summary: list[Any] = []
    encrypted_content: None = None


OutputItem = OutputMessage | OutputCall | OutputReasoning


class InputTokens(msgspec.Struct, frozen=True):
    """`cached_tokens` of the prompt were already in the KV cache. Nobody pays for what is written
    there, so `cache_write_tokens` is 0."""

    cached_tokens: int
    cache_write_tokens: int = 0


class OutputTokens(msgspec.Struct, frozen=True):
    reasoning_tokens: int


class ResponseUsage(msgspec.Struct, frozen=True):
    input_tokens: int
    input_tokens_details: InputTokens
    output_tokens: int
    output_tokens_details: OutputTokens
    total_tokens: int


class InputTokensCount(msgspec.Struct, frozen=True):
    """What a response to the same request has as its usage's `input_tokens`."""

    input_tokens: int
    object: Literal["response.input_tokens"] = "response.input_tokens"


class ResponseError(msgspec.Struct, frozen=True):
    """Why a response failed; `rbee` has the error as the other routes have it."""

    code: str
    message: str
    rbee: OurError


class IncompleteDetails(msgspec.Struct, frozen=True):
    reason: Literal["max_output_tokens"] = "max_output_tokens"


class ReasoningUsed(msgspec.Struct, frozen=True):
    effort: Effort | None = None
    summary: None = None


class TextUsed(msgspec.Struct, frozen=True):
    format: dict[str, Any]
    verbosity: Verbosity | None = None


class FunctionTool(msgspec.Struct, frozen=True, tag_field="type", tag="function"):
    name: str
    description: str | None
    parameters: dict[str, Any]
    strict: bool | None


class NamespaceTool(msgspec.Struct, frozen=True, tag_field="type", tag="namespace"):
    name: str
    description: str
    tools: list[FunctionTool]


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """The reply. It repeats the request, with what is used for fields that were not given. Times
    are in seconds since the epoch."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    completed_at: int | None = None
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    model: str
    output: list[OutputItem] = []
    parallel_tool_calls: bool
    previous_response_id: None = None
    conversation: None = None
    prompt: None = None
    background: Literal[False] = False
    store: Literal[False] = False
    reasoning: ReasoningUsed
    temperature: float
    top_p: float
    top_logprobs: int
    text: TextUsed
    tool_choice: str | dict[str, Any]
    tools: list[FunctionTool | NamespaceTool]
    truncation: Literal["disabled"] = "disabled"
    service_tier: Literal["default"] = "default"
    usage: ResponseUsage | None = None
    user: str | None
    prompt_cache_key: str | None
    safety_identifier: str | None
    metadata: dict[str, str]


class ResponseEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of a stream, whose `event:` is its type. `sequence_number` counts them from 0.
    Those of the whole response have `response`, those of an item `item`, and those of a part of it
    what has come."""

    type: str
    sequence_number: int
    response: Response | None = None
    output_index: int | None = None
    item: OutputItem | None = None
    item_id: str | None = None
    content_index: int | None = None
    part: OutputText | ReasoningText | None = None
    delta: str | None = None
    text: str | None = None
    name: str | None = None
    arguments: str | None = None
    logprobs: list[ChatLogprob] | None = None
