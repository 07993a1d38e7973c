"""The queen's routes in protocols of others, each once, as `endpoints` has our own."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from rbee.contract.embeddings import EmbeddingReply, RerankReply
from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.openai import (
    ChatChunk,
    ChatCompletion,
    ChatRequest,
    CompletionRequest,
    EmbeddingsRequest,
    OpenAIError,
    OpenAIModel,
    OpenAIModels,
    RankRequest,
    TextCompletion,
)

Q = TypeVar("Q")
R = TypeVar("R")


def _openai(
    method: str, path: str, request: type[Q], reply: type[R], chunk: type | None = None
) -> Endpoint[Q, R]:
    return Endpoint(
        method, "/v1" + path, request, reply, role="use", chunk=chunk, error=OpenAIError
    )


def _short(endpoint: Endpoint[Q, R]) -> Endpoint[Q, R]:
    return replace(endpoint, path=endpoint.path.removeprefix("/v1"))


QUEEN_OPENAI_MODELS = _openai("GET", "/models", Nothing, OpenAIModels)
"""The models of all nodes, and the aliases, as the queen knows them at this moment."""
QUEEN_OPENAI_MODEL = _openai("GET", "/models/{model}", Nothing, OpenAIModel)
"""One of them, by any name that a request may use. The name may have slashes. For a name that is
not known the nodes are asked once more."""
QUEEN_OPENAI_CHAT = _openai("POST", "/chat/completions", ChatRequest, ChatCompletion, ChatChunk)
"""Answer a conversation. The model is downloaded and loaded if it must be."""
QUEEN_OPENAI_COMPLETIONS = _openai(
    "POST", "/completions", CompletionRequest, TextCompletion, TextCompletion
)
"""Continue a raw prompt, without the model's chat template."""
QUEEN_OPENAI_EMBEDDINGS = _openai("POST", "/embeddings", EmbeddingsRequest, EmbeddingReply)
"""Embeddings of texts."""
QUEEN_OPENAI_RERANK = _openai("POST", "/rerank", RankRequest, RerankReply)
"""Documents by how well they answer a query, for models with a rank head."""
QUEEN_OPENAI_MODELS_SHORT = _short(QUEEN_OPENAI_MODELS)
"""The same, for clients that leave out /v1."""
QUEEN_OPENAI_CHAT_SHORT = _short(QUEEN_OPENAI_CHAT)
"""The same, for clients that leave out /v1."""
QUEEN_OPENAI_COMPLETIONS_SHORT = _short(QUEEN_OPENAI_COMPLETIONS)
"""The same, for clients that leave out /v1."""
QUEEN_OPENAI_EMBEDDINGS_SHORT = _short(QUEEN_OPENAI_EMBEDDINGS)
"""The same, for clients that leave out /v1."""
QUEEN_OPENAI_RERANK_SHORT = _short(QUEEN_OPENAI_RERANK)
"""The same, for clients that leave out /v1."""
