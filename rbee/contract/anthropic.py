"""Anthropic's protocol, as the queen speaks it to other people's programs.

Requests ignore fields that are unknown here, and take null for a field that is not given. In
replies, a field that a kind of content or of event does not have is left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from rbee.contract.embeddings import Model
from rbee.contract.openai import OurError
from rbee.contract.tasks import FunctionName

VERSION_HEADER = "anthropic-version"
"""What every client of this protocol sends, and no other."""

MessageStop = Literal[
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"
]
StopSequence = Annotated[str, Meta(max_length=256)]
Effort = Literal["low", "medium", "high", "xhigh", "max"]


class InputBlock(msgspec.Struct, frozen=True):
    """A part of a turn, or of what a tool answered. `type` says which fields it has: `text`,
    `thinking`, `tool_use` and `tool_result`, a `document` whose source is text, a `search_result`,
    a `tool_reference`. Others are refused by name, but what Anthropic's own tools have left in a
    conversation is skipped."""

    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    id: Annotated[str, Meta(max_length=256)] | None = None
    name: FunctionName | None = None
    input: dict[str, Any] | None = None
    tool_use_id: Annotated[str, Meta(max_length=256)] | None = None
    content: Any = None
    is_error: bool | None = None
    source: Any = None
    title: str | None = None
    context: str | None = None
    tool_name: str | None = None


class InputMessage(msgspec.Struct, frozen=True):
    """A turn. Turns of one role that follow each other are one. A system's turn among them is told
    in the user's."""

    role: Literal["user", "assistant", "system"]
    content: str | list[InputBlock]


class AnthropicTool(msgspec.Struct, frozen=True):
    """A function that the model may call. A tool of any other `type` than `custom` is one that only
    Anthropic's models know, or servers run: it is left out, and refused if it is the only one.
    With `defer_loading` the model is told of it once a `tool_reference` has named it."""

    name: str | None = None
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None
    defer_loading: bool | None = None


class AnthropicToolChoice(msgspec.Struct, frozen=True):
    """`any` wants a call of one of the tools, `tool` one of `name`."""

    type: Literal["auto", "any", "tool", "none"]
    name: FunctionName | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct, frozen=True):
    """Whether the model reasons before it answers, if it can. With the `display` "omitted" the
    reply has blocks of reasoning without the text, which their signatures then carry."""

    type: Literal["enabled", "adaptive", "between_tools", "disabled"]
    display: str | None = None


class AnthropicFormat(msgspec.Struct, frozen=True):
    """The answer is JSON after this schema."""

    schema: dict[str, Any]
    type: Literal["json_schema"] = "json_schema"


class OutputConfig(msgspec.Struct, frozen=True):
    """`effort` is a variable for the model's chat template, as `reasoning_effort`."""

    effort: Effort | None = None
    format: AnthropicFormat | None = None


class Metadata(msgspec.Struct, frozen=True):
    """Requests of the same `user_id` are a session, if no header names another."""

    user_id: str | None = None


class CountTokensRequest(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/messages/count_tokens. `output_format` is the older place of `output_config.format`.
    `mcp_servers`, a `thread` and a `compaction` are refused."""

    messages: Annotated[list[InputMessage], Meta(min_length=1, max_length=10_000)]
    model: Model | None = None
    system: str | list[InputBlock] | None = None
    tools: Annotated[list[AnthropicTool], Meta(max_length=512)] | None = None
    tool_choice: AnthropicToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: AnthropicFormat | None = None
    mcp_servers: list[Any] | None = None
    thread: Any = None
    compaction: Any = None


class MessagesRequest(CountTokensRequest, frozen=True, kw_only=True):
    """POST /v1/messages. Without `thinking` the model does not reason. `max_tokens` 0 has the
    prompt read into the worker's cache, and nothing answered. `top_p` 0 takes the likeliest token.
    An empty stop sequence stops nothing. What is not given has the default of a task."""

    max_tokens: Annotated[int, Meta(ge=0, le=1_000_000)]
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: Annotated[list[StopSequence], Meta(max_length=64)] | None = None
    stream: bool | None = None
    metadata: Metadata | None = None
    keep_alive: float | str | None = None


class TokensCount(msgspec.Struct, frozen=True):
    """What a message with the same fields has as its usage's `input_tokens` and
    `cache_read_input_tokens` together."""

    input_tokens: int


class OutputTokensDetails(msgspec.Struct, frozen=True):
    """How many of the answer's tokens were reasoning."""

    thinking_tokens: int


class AnthropicUsage(msgspec.Struct, frozen=True):
    """The prompt's tokens that were read are `input_tokens`; those that were in the KV cache, and
    are not among them, `cache_read_input_tokens`."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    output_tokens_details: OutputTokensDetails = OutputTokensDetails(0)


class OutputBlock(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of the reply: a `text`, a `thinking` with its `signature`, or a `tool_use`."""

    type: Literal["text", "thinking", "tool_use"]
    text: str | UnsetType = UNSET
    thinking: str | UnsetType = UNSET
    signature: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    input: dict[str, Any] | UnsetType = UNSET


class AnthropicMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The reply. In a stream's `message_start` it has no content yet, and no reason to stop."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[OutputBlock] = []
    stop_reason: MessageStop | None = None
    stop_sequence: str | None = None
    usage: AnthropicUsage


class EventDelta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is added to a block: `text`, `thinking`, a `signature`, or a part of a call's JSON. That
    of a message says why it stopped."""

    type: (
        Literal["text_delta", "thinking_delta", "signature_delta", "input_json_delta"] | UnsetType
    ) = UNSET
    text: str | UnsetType = UNSET
    thinking: str | UnsetType = UNSET
    signature: str | UnsetType = UNSET
    partial_json: str | UnsetType = UNSET
    stop_reason: MessageStop | UnsetType = UNSET
    stop_sequence: str | UnsetType | None = UNSET


class AnthropicEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event of a stream; its `type` is the name of the event too. `index` is the block's."""

    type: Literal[
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    index: int | UnsetType = UNSET
    message: AnthropicMessage | UnsetType = UNSET
    content_block: OutputBlock | UnsetType = UNSET
    delta: EventDelta | UnsetType = UNSET
    usage: AnthropicUsage | UnsetType = UNSET


class AnthropicModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model, to a client that sends `anthropic-version`. `created_at` is when the model was
    downloaded; the epoch if it was not."""

    id: str
    type: Literal["model"] = "model"
    display_name: str
    created_at: str
    lifecycle: Literal["active"] = "active"


class AnthropicModels(msgspec.Struct, frozen=True, kw_only=True):
    """GET /v1/models for such a client: all that there are, if the query has no `limit`."""

    data: list[AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None


class AnthropicErrorDetails(msgspec.Struct, frozen=True):
    """The error in the protocol's own words, for one that a client can go on from by itself: after
    this code it sends all messages, without a `thread`."""

    error_code: Literal["thread_unsupported_request"]


class AnthropicErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """`type` follows the status."""

    type: str
    message: str
    rbee: OurError
    details: AnthropicErrorDetails | None = None


class AnthropicError(msgspec.Struct, frozen=True, kw_only=True):
    """Every error of these routes, and the `error` event with which a stream fails. `request_id` is
    the correlation id, which is the header `request-id` as well."""

    type: Literal["error"] = "error"
    error: AnthropicErrorBody
    request_id: str
