"""Texts in, vectors out: shaped as OpenAI's embeddings are."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(min_length=1, max_length=8_000_000)]


class EmbeddingRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/embeddings of a worker: one text, or up to 2048."""

    input: Text | Annotated[list[Text], Meta(min_length=1, max_length=2048)]

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


class EmbeddingRow(msgspec.Struct, frozen=True):
    """`embedding` has the model's width and length 1; `index` is the text's place in the input."""

    index: int
    embedding: list[float]
    object: Literal["embedding"] = "embedding"


class Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    total_tokens: int


class EmbeddingReply(msgspec.Struct, frozen=True):
    model: str
    data: list[EmbeddingRow]
    usage: Usage
    object: Literal["list"] = "list"
