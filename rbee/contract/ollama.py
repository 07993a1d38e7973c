"""Ollama's protocol, as the queen speaks it to other people's programs.

Requests ignore fields that are unknown here, and take null for a field that is not given. Streams
are lines of JSON, and are what a request gets that does not say `stream`. Durations are in
nanoseconds, sizes in bytes, times as RFC 3339 in UTC.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from rbee.contract.embeddings import Model
from rbee.contract.models import Capability
from rbee.contract.openai import ChosenFunction, OurError

Role = Literal["system", "user", "assistant", "tool"]
DoneReason = Literal["stop", "length", "load", "unload"]
KeepAlive = float | str
Logprobs = Annotated[int, Meta(ge=0, le=20)]
Number = int | float


class CalledTool(msgspec.Struct, frozen=True):
    """`arguments` is an object here; a text is read as its JSON."""

    name: str
    arguments: dict[str, Any] | str | None = None
    index: int | None = None


class OllamaCall(msgspec.Struct, frozen=True):
    """A call that the model made. Many clients have no `id`."""

    function: CalledTool
    id: str | None = None


class OllamaMessage(msgspec.Struct, frozen=True):
    """One turn of a conversation. The role `tool` answers a call: that of `tool_call_id`, or else
    the next one of `tool_name`. `images` are refused."""

    role: Role
    content: str | None = None
    thinking: str | None = None
    images: list[Any] | None = None
    tool_calls: Annotated[list[OllamaCall], Meta(max_length=256)] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class OfferedFunction(msgspec.Struct, frozen=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class OfferedTool(msgspec.Struct, frozen=True):
    function: OfferedFunction
    type: str | None = None


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is not given has the default of a task. `num_predict` of 0 or below is as good as none,
    and so is a `seed` below 0. `num_ctx` is heeded for vectors only, and there as the most tokens
    of a text. What concerns loading is known to the nodes and ignored here, like any unknown
    option."""

    num_predict: Number | None = None
    temperature: Number | None = None
    top_k: Number | None = None
    top_p: Number | None = None
    min_p: Number | None = None
    seed: Number | None = None
    stop: str | list[str] | None = None
    repeat_penalty: Number | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    num_ctx: Number | None = None


class OllamaAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What questions share. `format` is "json" or a schema. `think` turns a model's reasoning on or
    off; low, medium and high are told to its chat template as well. `logprobs` asks for each
    token's likelihood, and `top_logprobs` for those of so many others."""

    model: Model | None = None
    stream: bool | None = None
    format: str | dict[str, Any] | None = None
    options: Options | None = None
    keep_alive: KeepAlive | None = None
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: Logprobs | None = None


class OllamaChosenTool(msgspec.Struct, frozen=True):
    """The function that must be called: OpenAI's `function`, or its name alone."""

    function: ChosenFunction | None = None
    name: str | None = None
    type: Literal["function"] = "function"


class OllamaChat(OllamaAsked, frozen=True, kw_only=True):
    """POST /api/chat. Without messages the model is only loaded, and with `keep_alive` 0 it leaves
    the memory. `tool_choice` is OpenAI's; Ollama itself has none."""

    messages: Annotated[list[OllamaMessage], Meta(max_length=10_000)] | None = None
    tools: Annotated[list[OfferedTool], Meta(max_length=512)] | None = None
    tool_choice: Literal["auto", "none", "required"] | OllamaChosenTool | None = None


class OllamaGenerate(OllamaAsked, frozen=True, kw_only=True):
    """POST /api/generate. Without a prompt the model is only loaded, and with `keep_alive` 0 it
    leaves the memory. `raw` leaves out the model's chat template. `context` is that of an earlier
    answer. `suffix`, `template` and `images` are refused."""

    prompt: str | None = None
    system: str | None = None
    raw: bool | None = None
    context: list[int] | None = None
    suffix: str | None = None
    template: str | None = None
    images: list[Any] | None = None


class OllamaEmbed(msgspec.Struct, frozen=True, kw_only=True):
    """POST /api/embed. Without a text the answer has no vectors. `dimensions` keeps so many of the
    first numbers. A text of more tokens than the worker's context or `options.num_ctx` is cut, or
    without `truncate` refused."""

    model: Model | None = None
    input: str | list[str] | None = None
    truncate: bool | None = None
    dimensions: int | None = None
    options: Options | None = None
    keep_alive: KeepAlive | None = None


class OllamaEmbeddings(msgspec.Struct, frozen=True, kw_only=True):
    """POST /api/embeddings, the older form: one text, which is refused if it is too long."""

    model: Model | None = None
    prompt: str | None = None
    options: Options | None = None
    keep_alive: KeepAlive | None = None


class ModelAsked(msgspec.Struct, frozen=True):
    """A request about one model. `name` is the older form of `model`."""

    model: Model | None = None
    name: Model | None = None

    @property
    def asked(self) -> str:
        """The name; "" if there is none."""
        return self.model or self.name or ""


class OllamaPull(ModelAsked, frozen=True, kw_only=True):
    """POST /api/pull."""

    stream: bool | None = None


class LikelyText(msgspec.Struct, frozen=True):
    """`bytes` are those of the token, which may be part of a character."""

    token: str
    logprob: float
    bytes: list[int]


class TextLogprob(LikelyText, frozen=True):
    top_logprobs: list[LikelyText] = []


class ReplyFunction(msgspec.Struct, frozen=True):
    index: int
    name: str
    arguments: dict[str, Any]


class ReplyCall(msgspec.Struct, frozen=True):
    id: str
    function: ReplyFunction


class OllamaAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    content: str
    role: Role = msgspec.field(default_factory=lambda: "assistant")
    thinking: str | None = None
    tool_calls: list[ReplyCall] | None = None


class OllamaFigures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every part of an answer has, and after `done_reason` what only the last has. `model` is
    the name that the request used. `load_duration` is the time until a worker had the request."""

    model: str
    created_at: str
    done: bool
    done_reason: DoneReason | UnsetType = UNSET
    total_duration: int | UnsetType = UNSET
    load_duration: int | UnsetType = UNSET
    prompt_eval_count: int | UnsetType = UNSET
    prompt_eval_duration: int | UnsetType = UNSET
    eval_count: int | UnsetType = UNSET
    eval_duration: int | UnsetType = UNSET
    logprobs: list[TextLogprob] | UnsetType = UNSET


class OllamaChatPart(OllamaFigures, frozen=True, kw_only=True):
    """The reply, and each line of a stream. A call comes whole, in one line."""

    message: OllamaAnswer


class OllamaGeneratePart(OllamaFigures, frozen=True, kw_only=True):
    """The reply, and each line of a stream. `context` stands for the conversation so far: it is for
    the next request, and not the ids of tokens."""

    response: str
    thinking: str | UnsetType = UNSET
    context: list[int] | UnsetType = UNSET


class OllamaVectors(msgspec.Struct, frozen=True):
    model: str
    embeddings: list[list[float]]
    total_duration: int
    load_duration: int
    prompt_eval_count: int


class OllamaVector(msgspec.Struct, frozen=True):
    embedding: list[float]


class OllamaVersion(msgspec.Struct, frozen=True):
    """The version of Ollama whose protocol this is, not that of rbee."""

    version: str


class OllamaDetails(msgspec.Struct, frozen=True):
    """`family` is the architecture; `parameter_size` is as in "134.52M"."""

    parent_model: str
    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


class OllamaModel(msgspec.Struct, frozen=True):
    """`digest` is the sha256 of the file where it is known, and else one of the model's reference:
    the same for all names of a model, and another for each model."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: OllamaDetails
    capabilities: list[Capability]


class OllamaModels(msgspec.Struct, frozen=True):
    models: list[OllamaModel]


class OllamaRunning(msgspec.Struct, frozen=True):
    """A model in memory. `size_vram` is what a graphics card has of it. `expires_at` is three
    hundred years from now for one that stays."""

    name: str
    model: str
    size: int
    digest: str
    details: OllamaDetails
    expires_at: str
    size_vram: int
    context_length: int


class OllamaProcesses(msgspec.Struct, frozen=True):
    models: list[OllamaRunning]


class OllamaShown(msgspec.Struct, frozen=True):
    """`template` is the model's chat template, in Jinja. `parameters` are the defaults of a task.
    `model_info` has the fields of the header that are no lists."""

    modelfile: str
    license: str
    parameters: str
    template: str
    details: OllamaDetails
    model_info: dict[str, Any]
    capabilities: list[Capability]
    modified_at: str


class OllamaProgress(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of a download; the last has the status success."""

    status: str
    digest: str | None = None
    total: int | None = None
    completed: int | None = None


class OllamaError(msgspec.Struct, frozen=True):
    """Every error of these routes, and the line with which a stream fails."""

    error: str
    rbee: OurError
