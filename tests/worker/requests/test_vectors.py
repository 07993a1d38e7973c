"""Requests for embeddings and scores, from the message to the reply, with tiny models.

llama.cpp's own functions, called directly, are the second opinion.
"""

from __future__ import annotations

import asyncio
import base64
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pytest

from harness.model_files.embedding_models import KINDS, OTHERS, RANKERS, WIDTH, Kind, write
from harness.model_files.reference_vectors import ReferenceVectors
from rbee.contract.embeddings import EmbeddingRequest, RerankRequest
from rbee.contract.errors import ComputeFailed, InvalidRequest, PromptTooLong, RbeeError
from rbee.contract.tasks import InferenceRequest
from rbee.runtime.broadcast import Broadcast
from rbee.worker.engine.engine import Engine
from rbee.worker.engine.load import Load, Loaded
from rbee.worker.requests.requests import Requests
from rbee.worker.requests.vectors import embed, rerank
from tests.worker.conftest import settings_of

BERT, LLAMA = KINDS["bert"], KINDS["llama"]
BERT_RANKER, QWEN_RANKER = RANKERS["bert ranker"], RANKERS["qwen3 ranker"]


class Opened(NamedTuple):
    requests: Requests
    reference: ReferenceVectors


Open: TypeAlias = Callable[..., Awaitable[Opened]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    """Load a model of a kind, and take requests for it."""
    closing: list[Callable[[], Any]] = []

    async def one(kind: Kind, damage: float = 0.0) -> Opened:
        path = write(tmp_path / f"{len(closing)}.gguf", kind, damage)
        ready: asyncio.Future[Loaded | RbeeError] = asyncio.get_running_loop().create_future()
        requests = Requests(2, "file:/m.gguf", Broadcast())
        load = Load(settings_of(path), lambda _: None, lambda _: None)
        engine = Engine(load, 2, ready.set_result, requests.take)
        engine.start()
        loaded = await ready
        assert isinstance(loaded, Loaded), loaded
        requests.open(loaded, engine)
        reference = ReferenceVectors(path)
        closing.extend([requests.close, engine.stop, lambda: asyncio.to_thread(reference.close)])
        return Opened(requests, reference)

    yield one
    for close in closing:
        await close()


def same(one: Any, other: Any) -> bool:
    return float(np.dot(one, other)) >= 0.99999


async def test_vectors_come_in_the_order_of_their_texts_and_tokens_are_counted(
    opened: Open,
) -> None:
    requests, reference = await opened(BERT)
    texts = ["abc", "de f", "abc"]
    found = await embed(requests, EmbeddingRequest(texts))
    assert found.model == "file:/m.gguf"
    assert [row.index for row in found.data] == [0, 1, 2]
    tokens = [reference.tokens(text) for text in texts]
    for row, ids in zip(found.data, tokens, strict=True):
        assert same(row.embedding, reference.vector(ids))
    count = sum(map(len, tokens))
    assert (found.usage.prompt_tokens, found.usage.total_tokens) == (count, count)
    assert requests.status().state == "idle"


@pytest.mark.parametrize("given", [[5, 6, 7], [[5, 6, 7]], ["abc", [5, 6, 7]]])
async def test_token_ids_are_taken_as_they_are(opened: Open, given: Any) -> None:
    requests, reference = await opened(BERT)
    found = await embed(requests, EmbeddingRequest(given))
    assert same(found.data[-1].embedding, reference.vector([5, 6, 7]))
    assert not same(found.data[-1].embedding, reference.vector(reference.tokens("abc")))


@pytest.mark.parametrize(
    ("given", "field"), [([[5], [6, 57]], "input[1]"), ([57], "input"), ([[2**31 - 1]], "input")]
)
async def test_a_token_that_the_vocabulary_has_not_is_refused(
    opened: Open, given: Any, field: str
) -> None:
    requests, _ = await opened(BERT)
    with pytest.raises(InvalidRequest, match="has 57 tokens") as caught:
        await embed(requests, EmbeddingRequest(given))
    assert caught.value.details["errors"][0]["field"] == field
    assert requests.status().state == "idle"


async def test_base64_is_the_same_numbers_in_little_endian_float32(opened: Open) -> None:
    requests, _ = await opened(LLAMA)
    plain = await embed(requests, EmbeddingRequest("abc", model="any", user="me"))
    packed = await embed(requests, EmbeddingRequest("abc", encoding_format="base64"))
    [row] = packed.data
    assert isinstance(row.embedding, str)
    numbers = np.frombuffer(base64.b64decode(row.embedding, validate=True), dtype="<f4")
    assert np.array_equal(numbers, np.array(plain.data[0].embedding, dtype=np.float32))


async def test_dimensions_keep_the_first_numbers_with_length_one(opened: Open) -> None:
    requests, reference = await opened(BERT)
    found = await embed(requests, EmbeddingRequest("abc", dimensions=10))
    wanted = reference.vector(reference.tokens("abc"))[:10]
    [row] = found.data
    assert len(row.embedding) == 10
    assert np.allclose(row.embedding, wanted / np.linalg.norm(wanted), atol=1e-5)
    with pytest.raises(InvalidRequest, match=f"dimensions: .* have {WIDTH} numbers"):
        await embed(requests, EmbeddingRequest("abc", dimensions=WIDTH + 1))


@pytest.mark.parametrize("kind", [BERT, LLAMA])
async def test_a_text_may_be_as_long_as_the_context(opened: Open, kind: Kind) -> None:
    requests, _ = await opened(kind)
    most = requests.loaded.context.tokens
    found = await embed(requests, EmbeddingRequest([5] * most))
    assert found.usage.prompt_tokens == most
    with pytest.raises(PromptTooLong, match=f"has {most + 1} tokens.* holds {most}") as caught:
        await embed(requests, EmbeddingRequest(["a", [5] * (most + 1)]))
    assert caught.value.details["errors"][0]["field"] == "input[1]"


@pytest.mark.parametrize("more", [1, 40, 200_000])  # the last is not taken apart to its end
@pytest.mark.parametrize("kind", [BERT, LLAMA])
async def test_a_text_that_is_too_long_may_be_cut(opened: Open, kind: Kind, more: int) -> None:
    requests, reference = await opened(kind)
    most = requests.loaded.context.tokens
    text = "ab c" * ((most + more) // 2)
    found = await embed(requests, EmbeddingRequest(["abc", text], truncate=True))
    whole = reference.tokens(text[: 4 * most])
    assert same(found.data[0].embedding, reference.vector(reference.tokens("abc")))
    assert same(found.data[1].embedding, reference.vector([*whole[: most - 1], whole[-1]]))
    assert found.usage.prompt_tokens == most + len(reference.tokens("abc"))


@pytest.mark.parametrize("given", ["abcdef", [5, 6, 7, 8, 9, 10]])
async def test_a_text_is_no_longer_than_the_client_says(opened: Open, given: Any) -> None:
    """The special token after a text is not cut off."""
    requests, reference = await opened(BERT)
    found = await embed(requests, EmbeddingRequest(given, truncate=True, max_length=5))
    whole = given if isinstance(given, list) else reference.tokens(given)
    cut = whole[:5] if isinstance(given, list) else [*whole[:4], whole[-1]]
    assert same(found.data[0].embedding, reference.vector(cut))
    with pytest.raises(PromptTooLong, match=f"has {len(whole)} tokens.* allows 5"):
        await embed(requests, EmbeddingRequest(given, max_length=5))
    same_text = await embed(requests, EmbeddingRequest(given, max_length=len(whole)))
    assert same_text.usage.prompt_tokens == len(whole)


async def test_a_text_of_which_nothing_would_be_left_is_refused(opened: Open) -> None:
    requests, _ = await opened(BERT)
    with pytest.raises(PromptTooLong, match=r"has 5 tokens.* allows 2"):
        await embed(requests, EmbeddingRequest("abc", truncate=True, max_length=2))


async def test_a_text_that_there_is_no_memory_for_is_named_by_its_field(opened: Open) -> None:
    requests, _ = await opened(BERT)

    def read() -> list[int]:
        raise MemoryError("This machine has no memory")

    with pytest.raises(PromptTooLong, match="input: This machine has no memory"):
        await requests.tokenize("input", read)


@pytest.mark.parametrize("kind", [BERT, LLAMA])
async def test_numbers_that_are_not_finite_are_an_error_and_the_worker_goes_on(
    opened: Open, kind: Kind
) -> None:
    requests, _ = await opened(kind, math.nan)
    last = requests.loaded.model.vocabulary_size - 1
    with pytest.raises(ComputeFailed, match="not numbers"):
        await embed(requests, EmbeddingRequest([[5], [last]]))
    assert len((await embed(requests, EmbeddingRequest("abc"))).data) == 1


@pytest.mark.parametrize("kind", [BERT_RANKER, QWEN_RANKER])
async def test_documents_come_by_their_scores(opened: Open, kind: Kind) -> None:
    requests, reference = await opened(kind)
    documents = ["a", "xyz", "hello", "bc", "q r", "xyz"]
    message = RerankRequest("what", documents)
    found = await rerank(requests, message)
    ids = [prompt(reference, kind, "what", document) for document in documents]
    wanted = [float(reference.scores(each)[0]) for each in ids]
    best = sorted(range(6), key=lambda index: wanted[index], reverse=True)
    assert len({*wanted}) > 4, "the models tell documents apart"
    assert [result.index for result in found.results] == best
    scores = [result.relevance_score for result in found.results]
    assert np.allclose(scores, sorted(wanted, reverse=True), rtol=1e-3, atol=1e-4)
    assert (found.model, found.object) == ("file:/m.gguf", "list")
    assert found.usage.prompt_tokens == found.usage.total_tokens == sum(map(len, ids))
    few = await rerank(requests, RerankRequest("what", documents, top_n=2))
    assert few.results == found.results[:2]
    assert len((await rerank(requests, RerankRequest("what", ["a"], top_n=9))).results) == 1


def prompt(reference: ReferenceVectors, kind: Kind, query: str, document: str) -> list[int]:
    """By the rules of llama.cpp's server: [CLS] query [SEP] document, or the model's template."""
    asked, told = (
        reference.tokens(text, around=False, control=False) for text in (query, document)
    )
    if kind is BERT_RANKER:
        return [2, *asked, 3, *told]
    ask, of = (reference.tokens(text, around=False) for text in ("ask ", " of "))
    return [1, *ask, *asked, *of, *told, 2]


@pytest.mark.parametrize("kind", [BERT_RANKER, QWEN_RANKER])
@pytest.mark.parametrize(
    ("query", "document"), [("a{document}b", "x"), ("</s>[SEP]a", "b<s>[CLS]")]
)
async def test_what_query_and_document_say_is_text(
    opened: Open, kind: Kind, query: str, document: str
) -> None:
    """Neither a place of the template nor a control token."""
    requests, reference = await opened(kind)
    found = await rerank(requests, RerankRequest(query, [document]))
    ids = prompt(reference, kind, query, document)
    assert found.usage.prompt_tokens == len(ids)
    assert np.isclose(found.results[0].relevance_score, reference.scores(ids)[0], atol=1e-4)


async def test_a_document_that_is_too_long_is_named(opened: Open) -> None:
    requests, _ = await opened(BERT_RANKER)
    most = requests.loaded.context.tokens
    await rerank(requests, RerankRequest("a", ["a", "b" * (most - 3)]))
    with pytest.raises(PromptTooLong, match=f"with the query.* holds {most}") as caught:
        await rerank(requests, RerankRequest("a", ["a", "b" * (most - 2)]))
    assert caught.value.details["errors"][0]["field"] == "documents[1]"


async def test_scores_that_are_not_finite_are_an_error(opened: Open) -> None:
    requests, _ = await opened(BERT_RANKER, math.nan)
    with pytest.raises(ComputeFailed, match="not numbers"):
        await rerank(requests, RerankRequest("a", ["b", "az"]))


async def test_a_model_says_what_else_to_ask(opened: Open) -> None:
    ranker, _ = await opened(BERT_RANKER)
    with pytest.raises(InvalidRequest, match="/v1/rerank"):
        await embed(ranker, EmbeddingRequest("a"))
    other, _ = await opened(BERT)
    with pytest.raises(InvalidRequest, match="rank head, such as bge-reranker"):
        await rerank(other, RerankRequest("a", ["b"]))


@pytest.mark.parametrize(
    ("kind", "instead"),
    [
        (BERT, "/v1/embeddings"),
        (KINDS["gemma-embedding"], "/v1/embeddings"),
        (KINDS["llama-embed"], "/v1/embeddings"),
        (BERT_RANKER, "/v1/rerank"),
        (OTHERS["dream"], "diffusion"),
        (OTHERS["llada"], "diffusion"),
    ],
)
async def test_a_model_that_does_not_generate_says_what_to_ask(
    opened: Open, kind: Kind, instead: str
) -> None:
    requests, _ = await opened(kind)
    with pytest.raises(InvalidRequest, match=instead):
        async for event in requests.answer(InferenceRequest(prompt="abc")):
            pytest.fail(f"it answered {event}")
