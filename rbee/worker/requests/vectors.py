"""Requests for embeddings and for scores: texts to tokens, and what the engine makes of them.

Both take a slot, as an answer does.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Callable

from rbee.contract.embeddings import (
    EmbeddingReply,
    EmbeddingRequest,
    EmbeddingRow,
    RerankReply,
    RerankRequest,
    RerankResult,
    Usage,
)
from rbee.contract.errors import InvalidRequest
from rbee.worker.engine.load import Loaded
from rbee.worker.model.beginning import Beginning
from rbee.worker.requests.admission import check_length, check_tokens
from rbee.worker.requests.requests import Requests

_PLACES = re.compile(r"\{query\}|\{document\}")


async def embed(requests: Requests, message: EmbeddingRequest) -> EmbeddingReply:
    """A vector for each text. Raises ALL_SLOTS_BUSY, PROMPT_TOO_LONG, INVALID_REQUEST and
    COMPUTE_FAILED."""
    loaded = requests.loaded
    if loaded.pooling == "rank":
        error = "This model ranks texts and makes no embeddings: ask /v1/rerank"
        hint = "Choose another model for embeddings."
        raise InvalidRequest.of("model", "a model with embeddings", error, hint=hint)
    width = loaded.model.vector_width()
    if message.dimensions is not None and message.dimensions > width:
        error = f"The model's vectors have {width} numbers"
        raise InvalidRequest.of("dimensions", f"at most {width}", error, message.dimensions)
    texts, vectors = await _computed(requests, "input", lambda: _texts(loaded, message))
    rows = [
        EmbeddingRow(index, _encoded(_shortened(vector, message.dimensions), message))
        for index, vector in enumerate(vectors)
    ]
    return EmbeddingReply(requests.model_ref, rows, _usage(texts))


async def rerank(requests: Requests, message: RerankRequest) -> RerankReply:
    """The documents by their scores. Raises the same as `embed`."""
    loaded = requests.loaded
    if loaded.pooling != "rank":
        error = "This model makes no scores: ask one with a rank head, such as bge-reranker"
        hint = "Choose a model with a rank head."
        raise InvalidRequest.of("model", "a model that ranks", error, hint=hint)
    pairs, scores = await _computed(requests, "documents", lambda: _pairs(loaded, message))
    results = [RerankResult(index, score) for index, [score, *_] in enumerate(scores)]
    results.sort(key=lambda result: result.relevance_score, reverse=True)
    return RerankReply(requests.model_ref, results[: message.top_n], _usage(pairs))


async def _computed(
    requests: Requests, field: str, read: Callable[[], list[list[int]]]
) -> tuple[list[list[int]], list[list[float]]]:
    """The tokens that `read` makes of the field's texts, and the engine's numbers for each."""
    async with requests.admitted(None) as request:
        request.texts = await requests.prepare(request, requests.tokenize(field, read))
        requests.submit(request)
        numbers = await request.next()
    assert isinstance(numbers, list)
    return request.texts, numbers


def _texts(loaded: Loaded, message: EmbeddingRequest) -> list[list[int]]:
    # Not the length that the model was trained for: the memory for that may be missing.
    most, words = loaded.context.tokens, loaded.model.vocabulary_size
    why = f"the context holds {most}"
    if message.max_length is not None and message.max_length < most:
        most, why = message.max_length, f"the request allows {message.max_length}"
    found = []
    for index, text in enumerate(message.texts):
        field = "input" if len(message.texts) == 1 else f"input[{index}]"
        tokens = loaded.model.tokenizer.tokenize(text, most) if isinstance(text, str) else text
        if message.truncate and len(tokens) > most:
            cut = loaded.model.tokenizer.cut
            tokens = cut(tokens, most) if isinstance(text, str) else tokens[:most]
        _check(field, tokens, most, why)
        check_tokens(field, tokens, words)
        found.append(tokens)
    return found


def _pairs(loaded: Loaded, message: RerankRequest) -> list[list[int]]:
    """The query with each document, as llama.cpp's server puts them together: by the model's own
    template, or with its special tokens around them."""
    most = loaded.context.tokens
    found = []
    for index, document in enumerate(message.documents):
        tokens = _pair(loaded, message.query, document, most)
        _check(
            f"documents[{index}]", tokens, most, f"that is with the query; the context holds {most}"
        )
        found.append(tokens)
    return found


def _pair(loaded: Loaded, query: str, document: str, most: int) -> list[int]:
    model, tokenizer = loaded.model, loaded.model.tokenizer
    # Only the model's template writes control tokens. Twice as much can't fit, and is refused.
    hiding = tokenizer.hide_control([query, document], 2 * most)
    (query, document), hidden = hiding or ([query, document], {})
    if template := model.rerank_template():
        said = {"{query}": query, "{document}": document}
        text = _PLACES.sub(lambda place: said[place[0]], template)
        return tokenizer.tokenize(text, most, hidden, around=False)
    asked, told = (
        tokenizer.tokenize(text, most, hidden, around=False) for text in (query, document)
    )
    return model.pair(asked, told)


def _check(field: str, tokens: list[int], most: int, why: str) -> None:
    check_length(field, len(tokens), most, why, isinstance(tokens, Beginning))
    if not tokens:
        raise InvalidRequest.of(field, "at least one token", "The text has no tokens")


def _shortened(vector: list[float], dimensions: int | None) -> list[float]:
    """Its first numbers, again with length 1."""
    if dimensions is None:
        return vector
    size = math.hypot(*vector[:dimensions]) or 1.0
    return [part / size for part in vector[:dimensions]]


def _encoded(vector: list[float], message: EmbeddingRequest) -> list[float] | str:
    if message.encoding_format == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _usage(texts: list[list[int]]) -> Usage:
    count = sum(map(len, texts))
    return Usage(count, count)
