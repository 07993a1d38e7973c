"""What llama.cpp's server has beside OpenAI's protocol, as the queen speaks it to other programs.

Requests ignore fields that are unknown here. `model` is a field of ours, in a body or in a query:
without it the default model is meant.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from rbee.contract.embeddings import Model
from rbee.contract.openai import OurError, Timings
from rbee.contract.tasks import TokenId

Content = str | list[str | TokenId]
Bias = Annotated[list[str | float | bool], Meta(min_length=2, max_length=2)]


class LlamaTokenize(msgspec.Struct, frozen=True):
    """POST /tokenize. `content` is a text, or a list of texts and of ids of tokens."""

    content: Content
    add_special: bool | None = None
    parse_special: bool | None = None
    with_pieces: bool | None = None
    model: Model | None = None


class LlamaPiece(msgspec.Struct, frozen=True):
    """A token with its text, or its bytes if they are no whole characters."""

    id: int
    piece: str | list[int]


class LlamaTokens(msgspec.Struct, frozen=True):
    """The ids of the tokens; with `with_pieces`, each with its text."""

    tokens: list[int | LlamaPiece]


class LlamaDetokenize(msgspec.Struct, frozen=True):
    """POST /detokenize."""

    tokens: list[TokenId]
    model: Model | None = None


class LlamaText(msgspec.Struct, frozen=True):
    content: str


class LlamaPrompt(msgspec.Struct, frozen=True):
    """What the model's chat template writes of a conversation, up to where the answer begins."""

    prompt: str


class LlamaMedia(msgspec.Struct, frozen=True):
    """A text with images or sounds in it. rbee can't run models that read them yet, so only the
    text can be given."""

    prompt_string: str
    multimodal_data: list[Any] | None = None


class LlamaCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """POST /completion. `n_predict` -1 is as good as none, and so is a negative `seed`. An answer
    without a limit ends after 1536 tokens. `logit_bias` is pairs of an id and a number, or false
    for a token that must not come. `n_probs` above 0 is refused: /v1/completions has `logprobs`.
    So are images, in `image_data` or in the prompt. Requests for the same `id_slot` are a session:
    they go to the same worker while it has a free slot, which need not be that one."""

    prompt: Content | LlamaMedia
    model: Model | None = None
    n_predict: int | None = None
    max_tokens: int | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    grammar: str | None = None
    json_schema: dict[str, Any] | None = None
    logit_bias: list[Bias] | dict[str, float] | None = None
    ignore_eos: bool | None = None
    cache_prompt: bool | None = None
    n_probs: int | None = None
    id_slot: int | None = None
    image_data: list[Any] | None = None
    keep_alive: float | str | None = None


class LlamaTimings(Timings, frozen=True, kw_only=True):
    prompt_per_token_ms: float
    predicted_per_token_ms: float


class LlamaAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The reply, and each event of a stream. All but the last event have only what stands before
    `model`; the last one of a stream has no content. `tokens` are not told. `stopping_word` is the
    one of `stop` that came, if one did. `truncated` says that the context was full.
    `tokens_cached` of the prompt and the answer are in the cache now; `timings` have those of the
    prompt that were there before."""

    index: int
    content: str
    tokens: list[int]
    stop: bool
    id_slot: int
    tokens_predicted: int
    tokens_evaluated: int
    model: str | None = None
    prompt: str | list[str | int] | None = None
    generation_settings: dict[str, Any] | None = None
    has_new_line: bool | None = None
    truncated: bool | None = None
    stop_type: Literal["eos", "limit", "word"] | None = None
    stopping_word: str | None = None
    tokens_cached: int | None = None
    timings: LlamaTimings | None = None


class LlamaSlot(msgspec.Struct, frozen=True, kw_only=True):
    """A slot of a worker. `n_ctx` is the context, which all slots of a worker share."""

    id: int
    n_ctx: int
    is_processing: bool
    id_task: int = -1
    speculative: bool = False
    params: dict[str, Any]


class LlamaModalities(msgspec.Struct, frozen=True):
    vision: bool = False
    audio: bool = False


class LlamaProps(msgspec.Struct, frozen=True, kw_only=True):
    """GET /props: what is known of a model without loading it. Of one that no worker has in memory,
    `n_ctx` and `total_slots` are 0, and the texts are empty; `is_sleeping` is true then."""

    default_generation_settings: LlamaSlot
    total_slots: int
    model_alias: str
    model_path: str
    chat_template: str
    bos_token: str
    eos_token: str
    modalities: LlamaModalities
    build_info: str
    is_sleeping: bool


class LlamaErrorBody(msgspec.Struct, frozen=True):
    """`code` is the HTTP status."""

    code: int
    message: str
    type: str
    rbee: OurError


class LlamaError(msgspec.Struct, frozen=True):
    """Every error of these routes, and the event with which a stream fails."""

    error: LlamaErrorBody
