"""Embeddings on the engine's thread, beside answers: with a model of a few kilobytes."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from rbee.contract.errors import ComputeFailed, RequestCanceled
from rbee.worker.engine.load import Loaded
from rbee.worker.model.context import Context

Open = Callable[..., Any]


@pytest.fixture
async def at(desk: Open, noise: Path) -> AsyncIterator[Any]:
    """A desk where the random model is loaded, whose vectors depend on all of a text."""
    found = desk(noise)
    found.engine.start()
    await found.opened()
    found.let()
    yield found


def vectors_by(kind: type[Context]) -> type[Loaded]:
    """A loaded model whose vectors are made in such a context."""

    class Other(Loaded):
        def embedding_context(self, texts: list[list[int]]) -> Context:
            longest = max(len(text) for text in texts)
            return kind(self.model, longest, 1, self.threads, "none")

    return Other


def near(one: list[float], other: list[float]) -> bool:
    return all(math.isclose(a, b, abs_tol=1e-5) for a, b in zip(one, other, strict=True))


async def test_each_text_has_a_vector_of_length_one(at: Any) -> None:
    at.embed("e", "abc", "xyzzy")
    vectors = await at.last("e")
    assert len(vectors) == 2
    for vector in vectors:
        assert len(vector) == 32
        assert math.isclose(math.hypot(*vector), 1, rel_tol=1e-6)
    assert not near(*vectors)


async def test_a_text_has_the_same_vector_whatever_it_is_asked_with(at: Any) -> None:
    at.embed("alone", "xyzzy")
    at.embed("both", "abc", "xyzzy")
    assert near((await at.last("alone"))[0], (await at.last("both"))[1])


async def test_texts_are_computed_in_the_order_of_asking(at: Any) -> None:
    at.embed("one", "abc")
    at.embed("two", "xyz")
    await at.last("two")
    assert list(at.heard) == ["one", "two"]


async def test_requests_take_turns_so_that_a_small_one_does_not_wait_for_a_large_one(
    desk: Open, noise: Path
) -> None:
    at = desk(noise)
    at.embed("large", *["abc" * 150] * 3)
    at.embed("small", "abc")
    at.embed("other", "xyz", "abc")
    at.engine.start()
    await at.opened()
    at.let()
    assert len(await at.last("large")) == 3
    assert list(at.heard) == ["small", "other", "large"]


async def test_vectors_are_made_beside_answers(desk: Open) -> None:
    at = desk()
    at.begin("x", "abc", max_tokens=8)
    at.embed("e", "ab", "cd")
    at.engine.start()
    await at.opened()
    at.let(3)
    # Two texts take two steps of the answer, which has six to go then.
    assert len(await at.last("e")) == 2
    at.let()
    await at.done("x")
    assert at.text("x") == "defghijk"


async def test_a_text_that_is_canceled_ends(desk: Open) -> None:
    at = desk()
    at.embed("e", "abc")
    at.cancel("e")
    at.embed("f", "abc")
    at.engine.start()
    assert isinstance(await at.last("e"), RequestCanceled)
    assert len(await at.last("f")) == 1


async def test_a_step_that_llama_cpp_refuses_ends_only_the_texts_in_it(
    desk: Open,
) -> None:
    codes = [2, 0]

    class Refusing(Context):
        def decode(self) -> int:
            super().decode()
            return codes.pop(0)

    at = desk(kind=vectors_by(Refusing))
    at.embed("e", "abc")
    at.engine.start()
    error = await at.last("e")
    assert isinstance(error, ComputeFailed)
    assert "code 2" in error.message
    at.embed("f", "abc")
    assert len(await at.last("f")) == 1
    assert len(at.ready) == 1


async def test_every_context_is_given_back_however_its_texts_end(
    desk: Open,
) -> None:
    freed: list[Context] = []

    class Counted(Context):
        def decode(self) -> int:
            return 2 if len(freed) == 1 else super().decode()

        def free(self) -> None:
            super().free()
            freed.append(self)

    at = desk(kind=vectors_by(Counted))
    at.begin("x", "abc", max_tokens=9)
    for name in ("canceled", "refused", "done", "dropped"):
        at.embed(name, "abc")
    at.cancel("canceled")
    at.engine.start()
    await at.opened()
    at.let(2)
    assert isinstance(await at.last("canceled"), RequestCanceled)
    assert isinstance(await at.last("refused"), ComputeFailed)
    assert len(await at.last("done")) == 1
    await at.stop()
    assert len(set(freed)) == len(freed) == 4
