"""Every architecture that llama.cpp has for embeddings: tiny models, loaded as a worker loads them.

llama.cpp, called directly, is the second opinion: it gets a text alone, and all of it at once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from harness.model_files.embedding_models import KINDS, OTHERS, RANK, RANKERS, Kind, write
from harness.model_files.reference_vectors import ReferenceVectors
from rbee.contract.errors import ComputeFailed, UnsupportedModelFormat
from rbee.worker.engine import load as loading_steps
from rbee.worker.engine.batching import Pace
from rbee.worker.engine.embedding import Embedding
from rbee.worker.engine.load import Loaded
from tests.worker.conftest import settings_of

Files: TypeAlias = Callable[[Kind], Path]
Load: TypeAlias = Callable[[Path], Loaded]

# Those whose tokens see later ones, or whose attention keeps nothing for a later step.
AT_ONCE = {*KINDS, "bert ranker", "modern-bert ranker", "dream", "llada"} - {
    "qwen3 with last",
    "llama",
    "llama without pooling",
    "llama with cls",
    "mamba",
    "lfm2 with a dense layer",
}
DIFFUSION = {name: OTHERS[name] for name in ("dream", "llada")}
EVERY = {**KINDS, **RANKERS, **DIFFUSION}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Write a model of a kind, once."""
    folder = tmp_path_factory.mktemp("models")
    written: dict[int, Path] = {}

    def file(kind: Kind) -> Path:
        if id(kind) not in written:
            written[id(kind)] = write(folder / f"{len(written)}.gguf", kind)
        return written[id(kind)]

    return file


@pytest.fixture
def load() -> Iterator[Load]:
    """Load a file as a worker loads it."""
    loaded: list[Loaded] = []

    def one(path: Path) -> Loaded:
        async def loading() -> Loaded:
            load = loading_steps.Load(settings_of(path), lambda _: None, lambda _: None)
            return await asyncio.to_thread(load)

        loaded.append(asyncio.run(loading()))
        return loaded[-1]

    yield one
    for each in loaded:
        each.free()


def texts_of(lengths: tuple[int, ...]) -> list[list[int]]:
    """Token ids that every vocabulary of these models has; each text is another one."""
    source = random.Random(7)
    return [[source.randrange(3, 29) for _ in range(length)] for length in lengths]


def made(loaded: Loaded, texts: list[list[int]], largest: int = 512) -> list[list[float]]:
    """The worker's vectors or scores, in steps of `largest` tokens where that can be."""
    pace = Pace(1e-9, 10**9, largest)
    work = Embedding(loaded, texts)
    try:
        while (found := work.step(pace, 0)) is None:
            pass
    finally:
        work.free()
    return found


@pytest.fixture(params=[*KINDS, *DIFFUSION])
def each(
    request: pytest.FixtureRequest, files: Files, load: Load
) -> Iterator[tuple[Loaded, ReferenceVectors]]:
    path = files(EVERY[request.param])
    reference = ReferenceVectors(path)
    yield load(path), reference
    reference.close()


@pytest.mark.parametrize("largest", [16, 512])
def test_vectors_are_those_that_llama_cpp_makes_of_the_whole_text_at_once(
    each: tuple[Loaded, ReferenceVectors], largest: int
) -> None:
    loaded, reference = each
    texts = texts_of((1, 2, 17, 5, 600, 3, 40, *[4] * 40))
    for text, vector in zip(texts, made(loaded, texts, largest), strict=True):
        wanted = reference.vector(text)
        assert len(vector) == len(wanted)
        assert math.isclose(math.hypot(*vector), 1, rel_tol=1e-6)
        assert float(np.dot(vector, wanted)) >= 0.99999, len(text)


@pytest.mark.parametrize("name", [*RANKERS])
def test_scores_are_those_that_llama_cpp_makes(files: Files, load: Load, name: str) -> None:
    path = files(RANKERS[name])
    loaded, reference = load(path), ReferenceVectors(path)
    texts = texts_of((9, 3, 600, 20, 21))
    assert loaded.pooling == "rank"
    for text, scores in zip(texts, made(loaded, texts), strict=True):
        assert np.allclose(scores, reference.scores(text), rtol=1e-3, atol=1e-4), len(text)
    reference.close()


@pytest.mark.parametrize("name", [*EVERY])
def test_only_a_model_that_reads_in_steps_generates(files: Files, load: Load, name: str) -> None:
    assert load(files(EVERY[name])).generates is (name not in AT_ONCE)


def test_a_pooling_that_llama_cpp_does_not_know_is_the_mean(tmp_path: Path, load: Load) -> None:
    """llama.cpp would abort the process."""
    kind = KINDS["bert"]
    strange = load(write(tmp_path / "strange.gguf", dataclasses.replace(kind, pooling=99)))
    mean = load(write(tmp_path / "mean.gguf", kind))
    assert np.allclose(made(strange, [[5, 6, 7]]), made(mean, [[5, 6, 7]]))


@pytest.mark.parametrize(("kind", "pooling"), [(KINDS["bert"], "cls"), (KINDS["llama"], "last")])
def test_a_model_that_says_it_ranks_but_has_no_head_for_it_makes_vectors(
    tmp_path: Path, load: Load, kind: Kind, pooling: str
) -> None:
    path = write(tmp_path / "m.gguf", dataclasses.replace(kind, pooling=RANK))
    assert load(path).pooling == pooling


def test_a_model_with_a_decoder_behind_its_encoder_is_refused_by_name(
    files: Files, load: Load
) -> None:
    with pytest.raises(UnsupportedModelFormat, match=r"is a t5 model.* encoder") as caught:
        load(files(OTHERS["t5"]))
    assert "another architecture" in caught.value.advice


@pytest.mark.parametrize("kind", [KINDS["bert"], KINDS["llama"], RANKERS["bert ranker"]])
@pytest.mark.parametrize("damage", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_an_error(
    tmp_path: Path, load: Load, kind: Kind, damage: float
) -> None:
    """Only the last word's row is damaged: texts without that word have their vectors."""
    path = write(tmp_path / "m.gguf", kind, damage)
    loaded = load(path)
    last = loaded.model.vocabulary_size - 1
    assert len(made(loaded, [[5, 6, 7]])) == 1
    with pytest.raises(ComputeFailed, match="not numbers") as caught:
        made(loaded, [[5, 6], [5, last]])
    assert caught.value.details["file"] == str(path)
