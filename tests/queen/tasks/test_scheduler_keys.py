"""Tasks of different keys: how many at once, who cancels which, and what each is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from rbee.contract.config import Config, ModelsSection
from rbee.contract.errors import (
    ModelCorrupt,
    ModelNotAllowed,
    RbeeError,
    RequestCanceled,
    TooManyRequests,
    WorkerCrashed,
    WrongRole,
)
from rbee.contract.events import Accepted, Event
from rbee.contract.tasks import TaskRequest
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.local_hive import LocalHive
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.registry import Registry
from rbee.queen.tasks.scheduler import Scheduler
from rbee.queen.tasks.sessions import Place
from rbee.queen.tasks.task import Task
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.gauges import Gauge
from rbee.runtime.keyring import OPERATOR, Caller

LAPTOP = Caller("laptop", "use", limit=2)
PHONE = Caller("phone", "use", ("hf:o/r:Q8_0",))
BOSS = Caller("boss", "manage")


class Made:
    """A scheduler of this machine alone, whose tasks go on until a test ends them with `end`."""

    def __init__(self, nodes: Nodes) -> None:
        self.ends: dict[str, asyncio.Future[int]] = {}
        self.tasks: list[Task] = []
        config = Config(models=ModelsSection(default="hf:o/default"))
        self.scheduler = Scheduler(config, nodes, self._attempt)

    def ask(
        self, who: Caller, has_place: bool = False, **asked: object
    ) -> AsyncGenerator[Event, None]:
        request = TaskRequest(prompt="p", **asked)  # type: ignore[arg-type]
        stream = self.scheduler.stream(request, who, has_place)
        assert isinstance(stream, AsyncGenerator)
        return stream

    async def begin(
        self, who: Caller, has_place: bool = False, **asked: object
    ) -> tuple[str, AsyncGenerator[Event, None]]:
        """A task that runs."""
        stream = self.ask(who, has_place, **asked)
        accepted = await anext(stream)
        assert isinstance(accepted, Accepted)
        async with asyncio.timeout(5):
            while accepted.request_id not in self.ends:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return accepted.request_id, stream

    async def end(self, name: str, tokens: int = 0, error: Exception | None = None) -> None:
        """With so many tokens, or with an error."""
        if error is None:
            self.ends[name].set_result(tokens)
        else:
            self.ends[name].set_exception(error)

    def figures(self) -> dict[tuple[str, str], float]:
        gauges = [each for each in self.scheduler.gauges() if isinstance(each, Gauge)]
        of_keys = [each for each in gauges if "key" in each.labels]
        return {(each.name, each.labels["key"]): each.value for each in of_keys}

    async def _attempt(self, task: Task, hive: Hive, *_: object) -> None:
        self.tasks.append(task)
        self.ends[task.id] = asyncio.get_running_loop().create_future()
        task.tokens = await self.ends[task.id]


@pytest.fixture
async def made(tmp_path: Path) -> AsyncGenerator[Made, None]:
    registry = Registry(tmp_path / "b.db", dict)
    await registry.open()
    nodes = Nodes(Config(), "key", Broadcast(), registry, LocalHive(Config()))
    yield Made(nodes)
    await nodes.close()
    await registry.close()


async def drain(stream: AsyncGenerator[Event, None]) -> None:
    with contextlib.suppress(RbeeError):
        async for _ in stream:
            continue


async def test_a_limit_counts_the_keys_own_tasks_that_run_or_wait(made: Made) -> None:
    """Those of others, which came before, are not its own."""
    others = (OPERATOR, BOSS, OPERATOR, BOSS)
    streams = [(await made.begin(who))[1] for who in (*others, LAPTOP, LAPTOP)]
    with pytest.raises(TooManyRequests) as caught:
        await anext(made.ask(LAPTOP))
    assert caught.value.details == {"key": "laptop", "limit": 2}
    assert (caught.value.status, caught.value.retry_after_s) == (429, 1)
    for stream in streams:
        await stream.aclose()


async def test_a_limit_counts_what_comes_at_the_same_moment(made: Made) -> None:
    streams = [made.ask(LAPTOP) for _ in range(3)]  # and nothing of them has been read yet
    for stream in streams[:2]:
        await anext(stream)
    with pytest.raises(TooManyRequests):
        await anext(streams[2])
    for stream in streams:
        await stream.aclose()


async def test_reserved_places_are_for_the_tasks_of_one_request(made: Made) -> None:
    with made.scheduler.reserve(LAPTOP, 4) as places:
        assert places == 2
        with pytest.raises(TooManyRequests):
            await anext(made.ask(LAPTOP))
        streams = [(await made.begin(LAPTOP, has_place=True))[1] for _ in range(places)]
        for stream in streams:
            await stream.aclose()
    _, stream = await made.begin(LAPTOP)
    with made.scheduler.reserve(LAPTOP, 4) as places:
        assert places == 1
    await stream.aclose()


async def test_no_place_is_reserved_where_none_is_left(made: Made) -> None:
    streams = [(await made.begin(LAPTOP))[1] for _ in range(2)]
    with pytest.raises(TooManyRequests), made.scheduler.reserve(LAPTOP, 2):
        pass
    await streams[0].aclose()
    with made.scheduler.reserve(LAPTOP, 2) as places:
        assert places == 1
    await streams[1].aclose()


async def test_a_key_without_a_limit_has_as_many_places_as_it_wants(made: Made) -> None:
    with made.scheduler.reserve(OPERATOR, 4) as places:
        assert places == 4


async def test_refused_tasks_displace_no_session(made: Made) -> None:
    name, stream = await made.begin(LAPTOP, session="s")
    made.tasks[-1].session.place = Place("node", "worker-1")
    _, other = await made.begin(LAPTOP)
    for at in range(10_000):
        with pytest.raises(TooManyRequests):
            await anext(made.ask(LAPTOP, session=f"s{at}"))
    await made.end(name)
    await drain(stream)
    _, stream = await made.begin(LAPTOP, session="s")
    assert made.tasks[-1].session.place == Place("node", "worker-1")
    for each in (stream, other):
        await each.aclose()


Ending = Callable[[Made, str, AsyncGenerator[Event, None]], object]


async def done(made: Made, name: str, stream: AsyncGenerator[Event, None]) -> None:
    await made.end(name)
    await drain(stream)


async def failed(made: Made, name: str, stream: AsyncGenerator[Event, None]) -> None:
    await made.end(name, error=ModelCorrupt(file="f", reason="r"))
    await drain(stream)


async def broken(made: Made, name: str, stream: AsyncGenerator[Event, None]) -> None:
    await made.end(name, error=ZeroDivisionError())
    with contextlib.suppress(ZeroDivisionError):
        await drain(stream)


async def canceled(made: Made, name: str, stream: AsyncGenerator[Event, None]) -> None:
    made.scheduler.cancel(name, LAPTOP)
    await drain(stream)


async def left(made: Made, name: str, stream: AsyncGenerator[Event, None]) -> None:
    await stream.aclose()


async def done_and_unread(made: Made, name: str, stream: AsyncGenerator[Event, None]) -> None:
    await made.end(name)
    await asyncio.wait({asyncio.create_task(made.scheduler.wait_until_idle())}, timeout=0.01)


@pytest.mark.parametrize("ending", [done, failed, broken, canceled, left, done_and_unread])
async def test_every_end_makes_room_for_another(made: Made, ending: Ending) -> None:
    (name, first), (_, second) = await made.begin(LAPTOP), await made.begin(LAPTOP)
    with pytest.raises(TooManyRequests):
        await anext(made.ask(LAPTOP))
    await ending(made, name, first)  # type: ignore[misc]
    _, third = await made.begin(LAPTOP)
    with pytest.raises(TooManyRequests):
        await anext(made.ask(LAPTOP))
    for stream in (first, second, third):
        await stream.aclose()


async def test_what_is_refused_takes_no_room(made: Made) -> None:
    for _ in range(3):
        with pytest.raises(ModelNotAllowed):
            await anext(made.ask(LAPTOP, model="file:/m.gguf"))
        with pytest.raises(WrongRole):
            await anext(made.ask(LAPTOP, force=True))
    _, stream = await made.begin(LAPTOP)
    await stream.aclose()
    assert made.figures()["rbee_key_tasks", "laptop"] == 1


async def test_the_default_is_a_model_like_others(made: Made) -> None:
    with pytest.raises(ModelNotAllowed) as caught:
        await anext(made.ask(PHONE))
    assert caught.value.details["model"] == "the default model"
    for model in ("hf:o/r:q8_0", "o/r"):  # of the second, its node knows
        _, stream = await made.begin(PHONE, model=model)
        await stream.aclose()


@pytest.mark.parametrize(
    ("who", "ends"), [(PHONE, False), (LAPTOP, True), (BOSS, True), (OPERATOR, True)]
)
async def test_a_task_is_canceled_by_its_own_key_and_by_those_that_manage(
    made: Made, who: Caller, ends: bool
) -> None:
    name, stream = await made.begin(LAPTOP)
    made.scheduler.cancel(name, who)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (made.scheduler.gauges()[0].value == 0) is ends
    if ends:
        with pytest.raises(RequestCanceled):
            await anext(stream)
    await stream.aclose()


async def test_a_key_of_the_same_name_is_another_key(made: Made) -> None:
    name, stream = await made.begin(LAPTOP)
    made.scheduler.cancel(name, Caller("laptop", "use"))
    await asyncio.sleep(0)
    assert made.scheduler.gauges()[0].value == 1
    await stream.aclose()


@pytest.mark.parametrize(
    ("who", "told"), [(LAPTOP, []), (BOSS, ["a line"]), (OPERATOR, ["a line"])]
)
async def test_the_log_of_a_worker_is_for_those_who_manage(
    made: Made, who: Caller, told: list[str]
) -> None:
    details = {"worker_id": "w", "node": "n", "tokens": 1, "max_tokens": 2}
    name, stream = await made.begin(who)
    await made.end(name, error=WorkerCrashed(log_tail=["a line"], **details))
    with pytest.raises(WorkerCrashed) as caught:
        await anext(stream)
    assert caught.value.details["log_tail"] == told


@pytest.mark.parametrize(("who", "kept"), [(LAPTOP, None), (BOSS, 0), (OPERATOR, 0)])
async def test_how_long_a_model_stays_is_said_by_those_who_manage(
    made: Made, who: Caller, kept: float | None
) -> None:
    _, stream = await made.begin(who, keep_alive=0)
    assert made.tasks[-1].request.keep_alive == kept  # type: ignore[union-attr]
    await stream.aclose()


async def test_the_figures_are_each_keys_own(made: Made) -> None:
    assert made.figures() == {}
    (name, first), (_, second) = await made.begin(LAPTOP), await made.begin(LAPTOP)
    _, other = await made.begin(OPERATOR)
    await made.end(name, tokens=7)
    await drain(first)
    assert made.figures() == {
        ("rbee_key_tasks", "laptop"): 2,
        ("rbee_key_tokens", "laptop"): 7,
        ("rbee_key_tasks_running", "laptop"): 1,
        ("rbee_key_tasks", "operator"): 1,
        ("rbee_key_tokens", "operator"): 0,
        ("rbee_key_tasks_running", "operator"): 1,
    }
    for stream in (second, other):
        await stream.aclose()
    assert made.figures()["rbee_key_tasks_running", "laptop"] == 0
