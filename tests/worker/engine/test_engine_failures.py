"""What goes wrong on the engine's thread is told to whom it concerns: nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from rbee.contract.errors import Internal, ModelCorrupt, ShuttingDown
from rbee.contract.events import Token
from rbee.worker.engine import embedding, sequence
from rbee.worker.engine.engine import Engine
from rbee.worker.engine.load import Loaded

Open = Callable[..., Any]


async def test_a_model_is_told_when_it_is_loaded(desk: Open) -> None:
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


async def test_a_load_that_breaks_in_a_way_that_nobody_foresaw_is_told_as_a_broken_model(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> Loaded:
        raise ZeroDivisionError("a secret of the inside")

    found = await outcome(fail)
    assert isinstance(found, ModelCorrupt)
    assert "log" in found.details["reason"]
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


async def test_a_step_that_llama_cpp_refuses_ends_all_that_were_in_it(two: Any) -> None:
    two.context.codes.append(1)
    two.let(1)
    for name in ("x", "y"):
        error = await two.last(name)
        assert isinstance(error, Internal)
        assert "code 1" in error.message
        assert len(two.heard[name]) == 3


async def test_after_a_step_that_was_refused_the_engine_goes_on_without_what_was_held(
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


async def test_what_was_refused_counts_as_neither_read_nor_made(desk: Open) -> None:
    at = desk()
    at.begin("x", "abc", max_tokens=20)
    at.engine.start()
    await at.opened()
    at.context.codes.append(2)
    at.let()
    assert isinstance(await at.last("x"), Internal)
    assert (at.engine.counts.read, at.engine.counts.made) == (0, 0)


async def test_an_engine_that_breaks_tells_everyone_and_its_owner(two: Any) -> None:
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


async def test_an_engine_that_breaks_tells_those_whose_orders_still_wait(two: Any) -> None:
    two.context.codes.append(RuntimeError())
    two.begin("z", "abc")
    two.embed("e", "abc")
    two.let()
    assert isinstance(await two.last("z"), Internal)
    assert isinstance(await two.last("e"), Internal)


async def test_an_engine_that_breaks_gives_the_memory_back(two: Any) -> None:
    two.context.codes.append(RuntimeError())
    two.let()
    await two.last("x")
    await two.engine.stop()
    assert two.context.freed


async def test_an_engine_whose_listeners_have_gone_ends_all_the_same(
    desk: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = desk()
    at.begin("x", "abc", max_tokens=3)
    at.engine.start()
    await at.opened()

    class Over:
        def call_soon_threadsafe(self, *_: object) -> None:
            raise RuntimeError("Event loop is closed")

    monkeypatch.setattr(at.engine, "_loop", Over())
    at.let()
    await at.engine.stop()
    assert at.context.freed
    assert not any(isinstance(event, Token) for event in at.heard.get("x", []))


async def test_texts_whose_context_can_not_be_made_are_told_and_the_engine_goes_on(
    desk: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ModelCorrupt(file="", reason="a context of 131072 tokens could not be made")

    at = desk()
    at.begin("x", "abc", max_tokens=20)
    at.engine.start()
    await at.opened()
    at.let(2)
    await at.length("x", 2)
    monkeypatch.setattr(embedding, "Context", refuse)
    at.embed("texts", "abc")
    at.let()
    async with asyncio.timeout(5):
        assert isinstance(await at.last("texts"), ModelCorrupt)
        await at.done("x")


async def test_an_answer_that_breaks_while_it_is_begun_is_told(
    desk: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sequence, "Sequence", fail)
    at = desk()
    at.begin("x", "abc")
    at.engine.start()
    async with asyncio.timeout(5):
        assert isinstance(await at.last("x"), Internal)


@pytest.mark.parametrize("how", ["begin", "embed"])
async def test_an_order_after_the_engine_broke_is_told(desk: Open, how: str) -> None:
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
