"""From the vectors of tokens to those of texts, with a context that only looks them up."""

from __future__ import annotations

import math
from collections.abc import Iterable
from types import SimpleNamespace

import numpy as np
import pytest

from rbee.contract.errors import ComputeFailed
from rbee.worker.engine.batching import Pace
from rbee.worker.engine.embedding import Embedding

# A vector for each token; whole numbers, so that sums are exact.
TABLE = np.array([[0, 0], [3, 4], [6, 8], [0, 2], [-3, 0]], dtype=np.float32)


class LookUp:
    """In place of llama.cpp. What it gives is overwritten by the next step, as llama.cpp's is."""

    def __init__(self) -> None:
        self.batch_size = 512
        self.sequences = 1
        self.code = 0
        # Each step: the position and the tokens of every sequence in it.
        self.steps: list[list[tuple[int, list[int]]]] = []
        self.forgotten: list[int] = []
        self.freed = False
        self._rows = np.zeros((600, 2), dtype=np.float32)

    @property
    def chunks(self) -> list[tuple[int, list[int]]]:
        return [chunk for step in self.steps for chunk in step]

    def clear_batch(self) -> None:
        self._batch: list[int] = []
        self.steps.append([])

    def add(self, sequence: int, position: int, tokens: list[int], outputs: int) -> range:
        assert sequence == len(self.steps[-1]) < self.sequences
        assert 0 < len(tokens) == outputs
        start = len(self._batch)
        self._batch = [*self._batch, *tokens]
        assert len(self._batch) <= self.batch_size
        self.steps[-1].append((position, tokens))
        return range(start, len(self._batch))

    def decode(self) -> int:
        self._rows[:] = -99
        self._rows[: len(self._batch)] = TABLE[self._batch]
        return self.code

    def vectors(self) -> np.ndarray:
        return self._rows[: len(self._batch)]

    def pooled(self, sequence: int) -> np.ndarray:
        return TABLE[self.steps[-1][sequence][1]].max(axis=0)

    def forget(self, sequence: int) -> None:
        self.forgotten.append(len(self.chunks))
        assert sequence < len(self.steps[-1])

    def free(self) -> None:
        self.freed = True


@pytest.fixture
def context() -> LookUp:
    return LookUp()


def begin(
    context: LookUp, *texts: list[int], pooling: str = "mean", pools_itself: bool = False
) -> Embedding:
    loaded = SimpleNamespace(
        header=SimpleNamespace(file="m.gguf"),
        pooling=pooling,
        pools_itself=pools_itself,
        embedding_context=lambda _: context,
    )
    return Embedding(loaded, list(texts))  # type: ignore[arg-type]


# As many tokens a step as asked for: a token takes as long as so many of them may.
def pace(tokens: int) -> Pace:
    return Pace(0.6 / 16, 10**9, tokens)


def vectors(work: Embedding, tokens: int = 16) -> list[list[float]]:
    while (found := work.step(pace(tokens), 0)) is None:
        pass
    return found


def unit(*parts: float) -> list[float]:
    size = math.hypot(*parts)
    return [part / size for part in parts]


def same(one: Iterable[float], other: Iterable[float]) -> bool:
    return np.allclose(list(one), list(other), atol=1e-12)


@pytest.mark.parametrize("tokens", [1, 2, 3, 16])
@pytest.mark.parametrize(
    ("pooling", "expected"),
    [("mean", unit(6, 14)), ("cls", unit(3, 4)), ("last", unit(-1, 0))],
)
def test_a_text_is_pooled_the_same_in_chunks_of_any_size(
    context: LookUp, pooling: str, expected: list[float], tokens: int
) -> None:
    [vector] = vectors(begin(context, [1, 2, 3, 4], pooling=pooling), tokens)
    assert same(vector, expected)
    assert len(context.chunks) == -(-4 // tokens)


def test_each_text_of_a_request_is_pooled_by_itself(context: LookUp) -> None:
    found = vectors(begin(context, [1, 2], [3], [4, 4, 3]), 2)
    assert len(found) == 3
    assert same(found[0], unit(3, 4))
    assert same(found[1], [0, 1])
    assert same(found[2], unit(-6, 2))


@pytest.mark.parametrize("pooling", ["cls", "last"])
def test_nothing_of_a_text_is_left_for_the_next(context: LookUp, pooling: str) -> None:
    found = vectors(begin(context, [1, 1], [3, 3], pooling=pooling), 1)
    assert same(found[0], unit(3, 4))
    assert same(found[1], [0, 1])


def test_a_vector_is_made_of_plain_numbers_of_length_one(context: LookUp) -> None:
    [vector] = vectors(begin(context, [2]))
    assert vector == [0.6, 0.8]
    assert all(type(part) is float for part in vector)


def test_a_vector_of_nothing_stays_nothing(context: LookUp) -> None:
    assert vectors(begin(context, [0, 0])) == [[0.0, 0.0]]


def test_a_text_begins_at_its_beginning_in_an_empty_cache(context: LookUp) -> None:
    vectors(begin(context, [1, 2, 3], [4]), 2)
    assert context.chunks == [(0, [1, 2]), (2, [3]), (0, [4])]
    assert context.forgotten == [2, 3]


def test_no_vector_comes_before_the_last_text_is_computed(context: LookUp) -> None:
    work = begin(context, [1, 2, 3], [4])
    assert [work.step(pace(2), 0) is None for _ in range(3)] == [True, True, False]


def test_a_chunk_is_as_large_as_the_pace_allows_at_its_position_beside_answers(
    context: LookUp,
) -> None:
    class Noting(Pace):
        asked: list[tuple[int, int]] = []  # noqa: RUF012

        def chunk(self, position: int, decoding: int) -> int:
            self.asked.append((position, decoding))
            return 2

    work = begin(context, [1, 2, 3])
    work.step(Noting(1, 1, 1), 3)
    work.step(Noting(1, 1, 1), 0)
    assert Noting.asked == [(0, 3), (2, 0)]


def test_a_chunk_is_never_larger_than_the_batch(context: LookUp) -> None:
    context.batch_size = 3
    vectors(begin(context, [1] * 8))
    assert [len(chunk) for _, chunk in context.chunks] == [3, 3, 2]


def test_where_llama_cpp_pools_a_text_is_read_at_once(context: LookUp) -> None:
    found = vectors(begin(context, [1] * 7, [2, 3], pools_itself=True), 1)
    assert [len(chunk) for _, chunk in context.chunks] == [7, 2]
    assert same(found[1], unit(6, 8))


def test_scores_are_given_as_they_are(context: LookUp) -> None:
    assert vectors(begin(context, [2], pooling="rank", pools_itself=True)) == [[6.0, 8.0]]


@pytest.mark.parametrize("pools_itself", [False, True])
def test_short_texts_are_read_together_as_far_as_they_fit(
    context: LookUp, pools_itself: bool
) -> None:
    context.sequences = 3
    texts = [[1] * 3, [2] * 5, [3], [1] * 4, [2] * 5, [1] * 9, [2], [2], [2], [2]]
    found = vectors(begin(context, *texts, pools_itself=pools_itself), 8)
    steps = [[len(chunk) for _, chunk in step] for step in context.steps]
    parts = [[9]] if pools_itself else [[8], [1]]
    assert steps == [[3, 5], [1, 4], [5], *parts, [1, 1, 1], [1]]
    expected = {1: unit(3, 4), 2: unit(6, 8), 3: unit(0, 2)}
    assert all(same(vector, expected[text[0]]) for vector, text in zip(found, texts, strict=True))
    assert len(context.forgotten) == len(texts)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_an_error(context: LookUp, number: float) -> None:
    context.vectors = lambda: np.array([[1, number]])  # type: ignore[method-assign]
    with pytest.raises(ComputeFailed, match="not numbers") as caught:
        vectors(begin(context, [1]))
    assert "another quantization" in caught.value.advice


def test_what_llama_cpp_refuses_is_an_error_with_its_code(context: LookUp) -> None:
    context.code = -2
    with pytest.raises(ComputeFailed, match="code -2"):
        begin(context, [1]).step(pace(1), 0)


def test_its_context_is_freed(context: LookUp) -> None:
    begin(context, [1]).free()
    assert context.freed
