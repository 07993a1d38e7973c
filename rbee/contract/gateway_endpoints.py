"""The queen's routes in protocols of others, each once, as `endpoints` has our own."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from rbee.contract.anthropic import (
    AnthropicError,
    AnthropicEvent,
    AnthropicMessage,
    CountTokensRequest,
    MessagesRequest,
    TokensCount,
)
from rbee.contract.embeddings import EmbeddingReply, RerankReply
from rbee.contract.endpoints import Endpoint, Nothing, Text
from rbee.contract.keys import Role
from rbee.contract.llama_cpp import (
    LlamaAnswer,
    LlamaCompletion,
    LlamaDetokenize,
    LlamaError,
    LlamaPrompt,
    LlamaProps,
    LlamaSlot,
    LlamaText,
    LlamaTokenize,
    LlamaTokens,
)
from rbee.contract.ollama import (
    ModelAsked,
    OllamaChat,
    OllamaChatPart,
    OllamaEmbed,
    OllamaEmbeddings,
    OllamaError,
    OllamaGenerate,
    OllamaGeneratePart,
    OllamaModels,
    OllamaProcesses,
    OllamaProgress,
    OllamaPull,
    OllamaShown,
    OllamaVector,
    OllamaVectors,
    OllamaVersion,
)
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
from rbee.contract.responses import InputTokensCount, Response, ResponseEvent, ResponsesRequest

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
"""The models of all nodes, and the aliases, as the queen knows them at this moment. With the
header `anthropic-version` it is AnthropicModels, whose clients may ask for a part of it: `limit`,
`after_id`, `before_id`."""
QUEEN_OPENAI_MODEL = _openai("GET", "/models/{model}", Nothing, OpenAIModel)
"""One of them, by any name that a request may use. The name may have slashes. For a name that is
not known the nodes are asked once more. With the header `anthropic-version` it is an
AnthropicModel."""
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

QUEEN_RESPONSES = _openai("POST", "/responses", ResponsesRequest, Response, ResponseEvent)
"""Answer a conversation with items: what the model says, its calls of functions, its reasoning."""
QUEEN_RESPONSES_COUNT = _openai(
    "POST", "/responses/input_tokens", ResponsesRequest, InputTokensCount
)
"""How many tokens the prompt of such a request has, by the model's own tokenizer and template. The
model is loaded if it must be; no slot is taken."""
QUEEN_RESPONSE = _openai("GET", "/responses/{response_id}", Nothing, Response)
"""Always 404, because responses are not stored."""
QUEEN_RESPONSE_DELETE = replace(
    _openai("DELETE", "/responses/{response_id}", Nothing, Nothing), status=204
)
"""Always 404, because responses are not stored."""
QUEEN_RESPONSES_SHORT = _short(QUEEN_RESPONSES)
"""The same, for clients that leave out /v1."""
QUEEN_RESPONSES_COUNT_SHORT = _short(QUEEN_RESPONSES_COUNT)
"""The same, for clients that leave out /v1."""
QUEEN_RESPONSE_SHORT = _short(QUEEN_RESPONSE)
"""The same, for clients that leave out /v1."""
QUEEN_RESPONSE_DELETE_SHORT = _short(QUEEN_RESPONSE_DELETE)
"""The same, for clients that leave out /v1."""


def _llama(
    method: str, path: str, request: type[Q], reply: type[R], chunk: type | None = None
) -> Endpoint[Q, R]:
    query = ("model",)
    return Endpoint(
        method, path, request, reply, role="use", query=query, chunk=chunk, error=LlamaError
    )


QUEEN_LLAMA_TOKENIZE = _llama("POST", "/tokenize", LlamaTokenize, LlamaTokens)
"""The tokens of a text. The model is loaded if it must be."""
QUEEN_LLAMA_DETOKENIZE = _llama("POST", "/detokenize", LlamaDetokenize, LlamaText)
"""The text of some tokens. The model is loaded if it must be."""
QUEEN_LLAMA_TEMPLATE = _llama("POST", "/apply-template", ChatRequest, LlamaPrompt)
"""What the model's chat template writes of a conversation. The model is loaded if it must be."""
QUEEN_LLAMA_PROPS = _llama("GET", "/props", Nothing, LlamaProps)
"""What is known of a model. None is loaded for that."""
QUEEN_LLAMA_SLOTS = _llama("GET", "/slots", Nothing, LlamaSlot)
"""A list of the slots of a model's workers; empty if none has it in memory."""
QUEEN_LLAMA_COMPLETION = _llama("POST", "/completion", LlamaCompletion, LlamaAnswer, LlamaAnswer)
"""Continue a raw prompt, in llama.cpp's own words."""
QUEEN_LLAMA_INFILL = _llama("POST", "/infill", Nothing, LlamaAnswer)
"""Always 400, because filling in is not supported."""
QUEEN_ANTHROPIC_MESSAGES = Endpoint(
    "POST",
    "/v1/messages",
    MessagesRequest,
    AnthropicMessage,
    role="use",
    chunk=AnthropicEvent,
    error=AnthropicError,
)
"""Answer a conversation in Anthropic's protocol, also with `?beta=true`. The model is downloaded
and loaded if it must be."""
QUEEN_ANTHROPIC_COUNT = Endpoint(
    "POST",
    "/v1/messages/count_tokens",
    CountTokensRequest,
    TokensCount,
    role="use",
    error=AnthropicError,
)
"""How many tokens the prompt of such a request has, by the model's own tokenizer and template. The
model is loaded if it must be; no slot is taken."""


def _ollama(
    method: str,
    path: str,
    request: type[Q],
    reply: type[R],
    chunk: type | None = None,
    role: Role = "use",
) -> Endpoint[Q, R]:
    return Endpoint(
        method,
        path,
        request,
        reply,
        role=role,
        chunk=chunk,
        chunk_type="application/x-ndjson",
        error=OllamaError,
    )


QUEEN_OLLAMA = _ollama("GET", "/", Nothing, Text)
"""Whether it runs, in Ollama's words, for programs that look for them. A browser finds no page."""
QUEEN_OLLAMA_VERSION = _ollama("GET", "/api/version", Nothing, OllamaVersion)
"""The version of the protocol."""
QUEEN_OLLAMA_TAGS = _ollama("GET", "/api/tags", Nothing, OllamaModels)
"""The models that are on any node, and their aliases, as the queen knows them at this moment."""
QUEEN_OLLAMA_PS = _ollama("GET", "/api/ps", Nothing, OllamaProcesses)
"""The models in memory. The hives that run are asked."""
QUEEN_OLLAMA_SHOW = _ollama("POST", "/api/show", ModelAsked, OllamaShown)
"""What is known of a model that is on a node. For a name that is not known the nodes are asked once
more."""
QUEEN_OLLAMA_CHAT = _ollama("POST", "/api/chat", OllamaChat, OllamaChatPart, OllamaChatPart)
"""Answer a conversation. The model is downloaded and loaded if it must be."""
QUEEN_OLLAMA_GENERATE = _ollama(
    "POST", "/api/generate", OllamaGenerate, OllamaGeneratePart, OllamaGeneratePart
)
"""Answer a prompt. The model is downloaded and loaded if it must be."""
QUEEN_OLLAMA_EMBED = _ollama("POST", "/api/embed", OllamaEmbed, OllamaVectors)
"""Embeddings of texts."""
QUEEN_OLLAMA_EMBEDDINGS = _ollama("POST", "/api/embeddings", OllamaEmbeddings, OllamaVector)
"""The embedding of a text, in the older form."""
QUEEN_OLLAMA_PULL = _ollama(
    "POST", "/api/pull", OllamaPull, OllamaProgress, OllamaProgress, role="manage"
)
"""Download a model to the queen's machine."""
QUEEN_OLLAMA_DELETE = _ollama("DELETE", "/api/delete", ModelAsked, Text, role="manage")
"""Delete a model from every node that has it."""
QUEEN_OLLAMA_CREATE = _ollama("POST", "/api/create", Nothing, OllamaProgress)
"""Always 400: models are made of others by nobody here."""
QUEEN_OLLAMA_COPY = _ollama("POST", "/api/copy", Nothing, Text)
"""Always 400: another name for a model is an alias in the config file."""
QUEEN_OLLAMA_PUSH = _ollama("POST", "/api/push", Nothing, OllamaProgress)
"""Always 400: models are not uploaded."""
QUEEN_OLLAMA_BLOBS = _ollama("POST", "/api/blobs/{digest}", Nothing, Text)
"""Always 400: models are not uploaded to the queen either."""
