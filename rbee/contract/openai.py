"""OpenAI's protocol, as the queen speaks it to other people's programs.

Requests ignore fields that are unknown here, and take null for a field that is not given. Replies
have every field that a client of the protocol reads, and `timings` and `status` as llama.cpp has
them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from rbee.contract.embeddings import Model
from rbee.contract.tasks import TokenId

Count = Annotated[int, Meta(ge=1, le=128)]
FinishReason = Literal["stop", "length", "tool_calls"]


class ContentPart(msgspec.Struct, frozen=True):
    """A part of a message. Only text can be read, and an earlier refusal, which is text as well;
    other types are refused by name."""

    type: str
    text: str | None = None
    refusal: str | None = None


class CalledFunction(msgspec.Struct, frozen=True):
    """`arguments` is JSON, as text."""

    name: str
    arguments: str


class ChatToolCall(msgspec.Struct, frozen=True):
    """A call that the model made."""

    id: str
    function: CalledFunction
    type: Literal["function"] = "function"


class ChatMessage(msgspec.Struct, frozen=True):
    """One turn of a conversation. The role `developer` is the same as `system`. In the older form
    of calls, an assistant's `function_call` is answered by the role `function` with its `name`."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None
    name: str | None = None
    reasoning_content: str | None = None
    tool_calls: Annotated[list[ChatToolCall], Meta(max_length=256)] | None = None
    tool_call_id: str | None = None
    function_call: CalledFunction | None = None


class ChatFunction(msgspec.Struct, frozen=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ChatTool(msgspec.Struct, frozen=True):
    function: ChatFunction
    type: Literal["function"] = "function"


class ChosenFunction(msgspec.Struct, frozen=True):
    name: str


class ChosenTool(msgspec.Struct, frozen=True):
    function: ChosenFunction
    type: Literal["function"] = "function"


class ChatSchema(msgspec.Struct, frozen=True):
    schema: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class ChatFormat(msgspec.Struct, frozen=True):
    """`schema` beside the type is llama.cpp's form of a `json_schema`."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: ChatSchema | None = None
    schema: dict[str, Any] | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """`include_usage` asks for one more chunk at the end, with the usage and no choices."""

    include_usage: bool | None = None


class OpenAIShared(msgspec.Struct, frozen=True, kw_only=True):
    """What all requests for an answer take. What is not given has the default of a task. `top_k` -1
    is off, and `top_p` 0 takes the likeliest token. An empty `stop` stops nothing. Requests with
    the same `prompt_cache_key`, or the same header X-Session-Id, go to the same worker while it has
    a free slot. `user` changes nothing."""

    model: Model | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    grammar: str | None = None
    ignore_eos: bool | None = None
    cache_prompt: bool | None = None
    keep_alive: float | str | None = None
    stream: bool | None = None
    prompt_cache_key: str | None = None
    user: str | None = None


class OpenAISampling(OpenAIShared, frozen=True, kw_only=True):
    """What both kinds of completion take besides. `n` answers are made for each prompt; with a
    seed, each of them has the next one. `max_tokens` -1 is as good as none."""

    max_tokens: int | None = None
    n: Count | None = None
    stream_options: StreamOptions | None = None


class ChatRequest(OpenAISampling, frozen=True, kw_only=True):
    """POST /v1/chat/completions. Without a limit, an answer ends after 1536 tokens.
    `reasoning_effort` none turns a model's reasoning off, any other value turns it on. The older
    `functions` and `function_call` are refused, and `modalities` other than text."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=10_000)]
    max_completion_tokens: int | None = None
    tools: Annotated[list[ChatTool], Meta(max_length=512)] | None = None
    tool_choice: Literal["auto", "none", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ChatFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = (
        None
    )
    chat_template_kwargs: dict[str, Any] | None = None
    functions: list[Any] | None = None
    function_call: str | dict[str, Any] | None = None
    modalities: list[str] | None = None


class CompletionRequest(OpenAISampling, frozen=True, kw_only=True):
    """POST /v1/completions: one prompt, its token ids, or a list of either. Without `max_tokens`,
    an answer ends after 16 tokens. `echo` repeats a prompt that is text. `suffix` and a `best_of`
    above `n` are refused."""

    prompt: str | Annotated[list[str | TokenId | list[TokenId]], Meta(min_length=1)]
    suffix: str | None = None
    echo: bool | None = None
    best_of: int | None = None
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None


class EmbeddingsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/embeddings of the queen: a text, its token ids, or a list of either. `user` changes
    nothing."""

    input: str | list[str | TokenId | list[TokenId]]
    model: Model | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None


class RankRequest(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/rerank of the queen: documents by how well they answer a query."""

    query: str
    documents: list[str]
    model: Model | None = None
    top_n: int | None = None


class CachedTokens(msgspec.Struct, frozen=True):
    """`cached_tokens` of the prompt were already in the KV cache."""

    cached_tokens: int


class OpenAIUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens


class Timings(msgspec.Struct, frozen=True):
    """How fast an answer was made. `prompt` is what had to be read, `predicted` what was written;
    `cache_n` tokens of the prompt were already in the KV cache."""

    cache_n: int
    prompt_n: int
    prompt_ms: float
    prompt_per_second: float
    predicted_n: int
    predicted_ms: float
    predicted_per_second: float


class ChatTopLogprob(msgspec.Struct, frozen=True):
    """`bytes` are those of the token, which may be part of a character."""

    token: str
    logprob: float
    bytes: list[int]


class ChatLogprob(ChatTopLogprob, frozen=True):
    top_logprobs: list[ChatTopLogprob] = []


class ChatLogprobs(msgspec.Struct, frozen=True):
    """The tokens of the answer's text."""

    content: list[ChatLogprob]


class ChatAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`content` is null if the answer is nothing but calls."""

    content: str | None
    role: Literal["assistant"] = msgspec.field(default_factory=lambda: "assistant")
    reasoning_content: str | None = None
    tool_calls: list[ChatToolCall] | None = None


class ChatChoice(msgspec.Struct, frozen=True):
    index: int
    message: ChatAnswer
    finish_reason: FinishReason
    logprobs: ChatLogprobs | None = None


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """`created` is in seconds since the epoch."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: OpenAIUsage
    timings: Timings


class FunctionDelta(msgspec.Struct, frozen=True, omit_defaults=True):
    arguments: str
    name: str | None = None


class ToolCallDelta(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call opens with id, type and name; what follows adds to its arguments."""

    index: int
    function: FunctionDelta
    id: str | None = None
    type: Literal["function"] | None = None


class ChatDelta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What this chunk adds. The first delta of a choice has the role."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChunkChoice(msgspec.Struct, frozen=True):
    index: int
    delta: ChatDelta
    finish_reason: FinishReason | None = None
    logprobs: ChatLogprobs | None = None


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of a stream. `timings` come with the finish_reason, and `usage` in a chunk without
    choices if it was asked for."""

    id: str
    object: Literal["chat.completion.chunk"] = msgspec.field(
        default_factory=lambda: "chat.completion.chunk"
    )
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: OpenAIUsage | None = None
    timings: Timings | None = None


class TextLogprobs(msgspec.Struct, frozen=True):
    """`text_offset` counts characters of the choice's text."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(msgspec.Struct, frozen=True):
    index: int
    text: str
    finish_reason: FinishReason | None = None
    logprobs: TextLogprobs | None = None


class TextCompletion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The reply, and each event of a stream. Every choice of the reply has its finish_reason."""

    id: str
    object: Literal["text_completion"] = msgspec.field(default_factory=lambda: "text_completion")
    created: int
    model: str
    choices: list[TextChoice]
    usage: OpenAIUsage | None = None
    timings: Timings | None = None


class ModelStatus(msgspec.Struct, frozen=True):
    """Whether a worker has the model in memory."""

    value: Literal["loaded", "loading", "unloaded"]


class OpenAIModel(msgspec.Struct, frozen=True, kw_only=True):
    """`created` is when the model was downloaded, in seconds since the epoch; 0 if it was not."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    status: ModelStatus


class OpenAIModels(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[OpenAIModel]


class OurError(msgspec.Struct, frozen=True):
    """The error as the other routes have it."""

    code: str
    details: dict[str, Any]


class OpenAIErrorBody(msgspec.Struct, frozen=True):
    """`param` is the field that the error is about; `code` is OpenAI's where it has one."""

    message: str
    type: str
    param: str | None
    code: str
    rbee: OurError


class OpenAIError(msgspec.Struct, frozen=True):
    """Every error of these routes, and the event with which a stream fails."""

    error: OpenAIErrorBody
