"""Whatever goes wrong on the engine's thread ends the requests concerned: none waits forever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from rbee.contract.errors import ComputeFailed, Internal, ShuttingDown, UnsupportedModelFormat
from rbee.contract.tasks import InferenceRequest, Sampling
from rbee.worker.engine.engine import Engine
from rbee.worker.engine.load import Loaded
from rbee.worker.engine.request import Request
from rbee.worker.model.constraint import Constraint
from rbee.worker.model.context import Context
from rbee.worker.model.sampling import Sampler

Open = Callable[..., Any]


async def test_the_owner_is_told_when_the_model_is_loaded(desk: Open) -> None:
    at = desk()
    at.engine.start()
    await at.opened()
    assert isinstance(at.ready[0], Loaded)


async def outcome(load: Callable[[], Loaded]) -> object:
    told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    engine = Engine(load, 2, told.set_result, lambda _: None)
    engine.start()
    async with asyncio.timeout(5):
        found = await told
        await engine.stop()
    return found


async def test_a_load_that_fails_says_why() -> None:
    def fail() -> Loaded:
        raise ShuttingDown

    assert isinstance(await outcome(fail), ShuttingDown)


async def test_an_unforeseen_failure_of_the_load_is_reported_as_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> Loaded:
        raise ZeroDivisionError("a secret of the inside")

    found = await outcome(fail)
    assert isinstance(found, Internal)
    assert "log" in found.message
    assert "a secret of the inside" in caplog.text


@pytest.fixture
async def two(desk: Open) -> AsyncIterator[Any]:
    """An engine with two answers under way, which waits before their third step."""
    at = desk()
    at.begin("x", "abc", max_tokens=20)
    at.begin("y", "klm", max_tokens=20)
    at.engine.start()
    await at.opened()
    at.let(2)
    await at.at_step(3)
    await at.length("y", 2)
    yield at


async def test_a_step_that_llama_cpp_refuses_ends_every_answer_in_it(two: Any) -> None:
    two.context.codes.append(1)
    two.let(1)
    for name in ("x", "y"):
        error = await two.last(name)
        assert isinstance(error, Internal)
        assert "code 1" in error.message
        assert len(two.heard[name]) == 3


async def test_after_a_refused_step_the_engine_goes_on_with_empty_slots(
    two: Any,
) -> None:
    two.context.codes.append(-3)
    two.let()
    await two.last("y")
    two.begin("z", "abcd", max_tokens=2)
    assert (await two.done("z")).cached_tokens == 0
    assert two.text("z") == "ef"
    assert len(two.ready) == 1


async def test_what_broke_is_in_the_log(two: Any, caplog: pytest.LogCaptureFixture) -> None:
    two.context.codes.append(-3)
    two.let()
    await two.last("y")
    assert "-3 with 2 sequences" in caplog.text
    two.context.codes.append(RuntimeError("a secret of the inside"))
    two.begin("z", "abc")
    await two.last("z")
    assert "a secret of the inside" in caplog.text


async def test_a_refused_step_counts_as_neither_read_nor_made(desk: Open) -> None:
    at = desk()
    at.begin("x", "abc", max_tokens=20)
    at.engine.start()
    await at.opened()
    at.context.codes.append(-2)
    at.let()
    assert isinstance(await at.last("x"), ComputeFailed)
    assert (at.engine.counts.read, at.engine.counts.made) == (0, 0)


async def test_an_engine_that_breaks_fails_every_request_and_tells_its_owner(two: Any) -> None:
    two.embed("e", "abc")
    two.context.codes.append(RuntimeError("a secret of the inside"))
    two.let()
    for name in ("x", "y"):
        error = await two.last(name)
        assert isinstance(error, Internal)
        assert "secret" not in error.message
    assert isinstance(await two.last("e"), Internal)
    await two.until(lambda: len(two.ready) == 2)
    assert isinstance(two.ready[1], Internal)


async def test_an_engine_that_breaks_fails_the_requests_in_its_inbox(two: Any) -> None:
    two.context.codes.append(RuntimeError())
    two.begin("z", "abc")
    two.embed("e", "abc")
    two.let()
    assert isinstance(await two.last("z"), Internal)
    assert isinstance(await two.last("e"), Internal)


async def test_an_engine_that_breaks_releases_its_memory(two: Any) -> None:
    two.context.codes.append(RuntimeError())
    two.let()
    await two.last("x")
    await two.engine.stop()
    assert two.context.freed


def test_an_engine_whose_event_loop_is_closed_ends_all_the_same(
    alphabet: Path, load: Callable[..., Loaded]
) -> None:
    ready: list[Any] = []
    outputs: list[Any] = []

    async def opened() -> Engine:
        told = asyncio.Event()

        def on_ready(outcome: Any) -> None:
            ready.append(outcome)
            told.set()

        engine = Engine(lambda: load(alphabet), 4, on_ready, outputs.extend)
        inference = InferenceRequest(prompt="abc", max_tokens=3)
        engine.submit(Request("x", 0.0, inference, [[3, 4, 5]], 6))
        engine.start()
        async with asyncio.timeout(10):
            await told.wait()
        return engine

    engine = asyncio.run(opened())
    context = ready[0].context
    context.gate.release(10_000)
    asyncio.run(engine.stop())
    assert context.freed
    assert outputs == []


async def test_texts_whose_context_cannot_be_made_fail_and_the_engine_goes_on(desk: Open) -> None:
    class Refusing(Loaded):
        def embedding_context(self, texts: list[list[int]]) -> Context:
            raise UnsupportedModelFormat(value="", forms=[])

    at = desk(kind=Refusing)
    at.begin("x", "abc", max_tokens=20)
    at.engine.start()
    await at.opened()
    at.let(2)
    await at.length("x", 2)
    at.embed("texts", "abc")
    at.let()
    async with asyncio.timeout(5):
        assert isinstance(await at.last("texts"), UnsupportedModelFormat)
        await at.done("x")


async def test_an_answer_that_breaks_while_it_is_begun_fails(desk: Open) -> None:
    class Breaking(Loaded):
        def sampler(self, sampling: Sampling, constraint: Constraint | None) -> Sampler:
            raise ZeroDivisionError

    at = desk(kind=Breaking)
    at.begin("x", "abc")
    at.engine.start()
    async with asyncio.timeout(5):
        assert isinstance(await at.last("x"), Internal)


@pytest.mark.parametrize("how", ["begin", "embed"])
async def test_a_request_after_the_engine_broke_fails(desk: Open, how: str) -> None:
    at = desk()
    at.begin("x", "abc")
    at.engine.start()
    await at.opened()
    at.context.codes.append(ZeroDivisionError())
    at.let()
    await at.last("x")
    await at.until(lambda: len(at.ready) == 2)
    getattr(at, how)("y", "abc")
    async with asyncio.timeout(5):
        assert isinstance(await at.last("y"), Internal)
