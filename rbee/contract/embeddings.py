"""Texts in, vectors or scores out: shaped as OpenAI's embeddings, and as Jina's reranking."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rbee.contract.tasks import TokenId

_MOST_TEXTS = 2048
LARGEST_LENGTH = 2**31 - 1

Text = Annotated[str, Meta(min_length=1, max_length=8_000_000)]
TokenIds = Annotated[list[TokenId], Meta(min_length=1, max_length=8_000_000)]
Model = Annotated[str, Meta(max_length=4096)]


class EmbeddingRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/embeddings of a worker: one text, or up to 2048. A text may also be the ids of its
    tokens, which are taken as they are. Nothing is put before a text: what a model wants there, as
    "query: ", is up to the client.

    A text of more tokens than the worker's context holds, or than `max_length`, is refused; with
    `truncate` its end is cut, and the special tokens that the model wants around a text are not.

    `encoding_format` base64 gives the bytes of each vector's numbers, as little-endian float32.
    `dimensions` keeps so many of the first numbers of each vector, for models that were trained for
    it. `model` and `user` change nothing: a worker has one model.
    """

    input: (
        Text | Annotated[list[Text | TokenId | TokenIds], Meta(min_length=1, max_length=8_000_000)]
    )
    model: Model | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    truncate: bool = False
    max_length: Annotated[int, Meta(ge=1, le=LARGEST_LENGTH)] | None = None
    user: Annotated[str, Meta(max_length=4096)] | None = None

    def __post_init__(self) -> None:
        # There may be millions.
        kinds = {str} if isinstance(self.input, str) else set(map(type, self.input))
        if isinstance(self.input, str) or kinds == {int}:
            return
        if int in kinds:
            raise ValueError("input: Expected texts, or the token ids of one text, but not both")
        if len(self.input) > _MOST_TEXTS:
            raise ValueError(f"input: Expected at most {_MOST_TEXTS} texts")

    @property
    def texts(self) -> list[str | list[int]]:
        """Each text, or the ids of its tokens."""
        if isinstance(self.input, str):
            return [self.input]
        ids = [part for part in self.input if isinstance(part, int)]
        return [ids] if ids else [part for part in self.input if not isinstance(part, int)]


class EmbeddingRow(msgspec.Struct, frozen=True):
    """`embedding` has the model's width and length 1; `index` is the text's place in the input."""

    index: int
    embedding: list[float] | str
    object: Literal["embedding"] = "embedding"


class Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    total_tokens: int


class EmbeddingReply(msgspec.Struct, frozen=True):
    model: str
    data: list[EmbeddingRow]
    usage: Usage
    object: Literal["list"] = "list"


class RerankRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/rerank of a worker: how well each document answers the query. `top_n` is how many of
    the best to return; without it, all. `model` changes nothing: a worker has one model."""

    query: Text
    documents: Annotated[list[Text], Meta(min_length=1, max_length=_MOST_TEXTS)]
    top_n: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    model: Model | None = None


class RerankResult(msgspec.Struct, frozen=True):
    """`index` is the document's place in the request. The model's own scale: a higher score is
    better, and it may be negative."""

    index: int
    relevance_score: float


class RerankReply(msgspec.Struct, frozen=True):
    """The best document comes first."""

    model: str
    results: list[RerankResult]
    usage: Usage
    object: Literal["list"] = "list"
