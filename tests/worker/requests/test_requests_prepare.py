"""What comes before the engine: it keeps the slot until it has ended, and ends with its asker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from rbee.contract.errors import InvalidRequest, RequestCanceled, ShuttingDown
from rbee.contract.events import Event
from rbee.contract.tasks import InferenceRequest, Message
from rbee.contract.workers import WorkerStatus
from rbee.worker.model.chat_template import ChatTemplate
from rbee.worker.model.templates import process
from rbee.worker.model.templates.renderers import Renderers
from tests.worker.children import running

IDLE = WorkerStatus("idle", 2, 2)
LOOPING = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
ASKED = InferenceRequest(messages=[Message("user", "hi")], request_id="x")


class Slow:
    """A tokenizer that takes as long as it is let."""

    def __init__(self) -> None:
        self.reading, self.go_on = threading.Event(), threading.Event()

    def tokenize(self, text: str, most: int) -> list[int]:
        self.reading.set()
        assert self.go_on.wait(20)
        return [1]

    def hide_control(self, texts: list[str], most: int) -> tuple[list[str], dict[str, str]]:
        return texts, {}


@pytest.fixture
def slow(house: Any) -> Iterator[Slow]:
    """The tokenizer of the model in the house, whose template loops."""
    found = Slow()
    loaded = house.requests.loaded
    loaded.generates = True
    loaded.model = SimpleNamespace(tokenizer=found)
    loaded.chat = ChatTemplate({"default": LOOPING}, {}, Renderers(600))
    yield found
    found.go_on.set()


async def events(answer: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in answer]


async def until(so: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not so():  # noqa: ASYNC110  what is waited for is another process
            await asyncio.sleep(0.01)


def renderers() -> list[psutil.Process]:
    """Those that render. Grammars have processes too."""
    return running(process)


async def test_a_request_that_nobody_waits_for_keeps_its_slot_until_its_prompt_is_read(
    house: Any, slow: Slow
) -> None:
    asking = asyncio.create_task(events(house.requests.answer(InferenceRequest(prompt="a"))))
    await asyncio.to_thread(slow.reading.wait, 20)
    asking.cancel()
    await asyncio.wait({asking})
    assert house.requests.status() == WorkerStatus("busy", 2, 1)
    slow.go_on.set()
    async with asyncio.timeout(20):
        await house.requests.empty()
    assert house.requests.status() == IDLE
    assert house.outcomes() == {"canceled": 1}
    assert house.engine.submitted == []


async def test_a_template_ends_with_its_asker_and_then_the_slot_is_free(
    house: Any, slow: Slow
) -> None:
    asking = asyncio.create_task(events(house.requests.answer(ASKED)))
    await until(renderers)
    assert house.requests.status().slots_available == 1
    asking.cancel()
    async with asyncio.timeout(20):
        await house.requests.empty()
    assert renderers() == []
    assert house.requests.status() == IDLE


@pytest.mark.parametrize("all_of_them", [False, True])
async def test_a_template_ends_when_its_request_is_canceled(
    house: Any, slow: Slow, all_of_them: bool
) -> None:
    asking = asyncio.create_task(events(house.requests.answer(ASKED)))
    await until(renderers)
    if all_of_them:
        house.requests.cancel_all()
    else:
        house.requests.cancel("x")
    with pytest.raises(ShuttingDown if all_of_them else RequestCanceled):
        await asking
    assert renderers() == []
    assert house.requests.status() == IDLE
    assert house.outcomes() == {"canceled": 1}


async def test_a_template_that_takes_too_long_is_refused(house: Any, slow: Slow) -> None:
    house.requests.loaded.chat = ChatTemplate({"default": LOOPING}, {}, Renderers(0.2))
    with pytest.raises(InvalidRequest, match=r"chat template took longer than 0\.2 s"):
        await events(house.requests.answer(ASKED))
    assert renderers() == []
    assert house.requests.status() == IDLE
    assert house.outcomes() == {"refused": 1}
