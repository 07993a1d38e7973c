"""A hive's rules for its workers, with a worker that a test plays: health, idleness, the end, and
what is reported of one that ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import cast

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rbee.contract.config import Config, HiveSection, TimesSection
from rbee.contract.daemons import Failed
from rbee.contract.errors import BackendUnavailable, ModelInUse
from rbee.contract.events import Event, Loading
from rbee.contract.workers import WorkerGone, WorkerRow, WorkerStatus
from rbee.gguf.file_changes import FileChanges
from rbee.hive.workers.launch import LaunchedWorker, WorkerSpec
from rbee.hive.workers.worker_logs import WORKER
from rbee.hive.workers.worker_process import WorkerProcess
from rbee.runtime import child, paths, sse
from rbee.runtime.client import Client
from tests.proving import knows

SPEC = WorkerSpec(
    worker_id="w-1",
    model_ref="file:/m.gguf",
    file="/m.gguf",
    backend="cpu",
    device=0,
    slots=2,
    correlation_id="c-1",
    frees_bytes=7,
)


class Worker:
    """Its HTTP: health that a test can take away, a state that it can change, and its shutdown."""

    def __init__(self) -> None:
        self.healthy = True
        self.answers = asyncio.Event()
        self.answers.set()
        self.obeys = True
        self.asked_for_health = 0
        self.asked_to_end = 0
        self.is_asked = False  # a request has come that it has told nobody of yet
        self.process: Process | None = None
        self.followed = 0
        self._said: asyncio.Queue[Event | None] = asyncio.Queue()

    def application(self) -> web.Application:
        app = web.Application(middlewares=[knows(lambda: "k")])
        app.router.add_get("/v1/health", self._health)
        app.router.add_get("/v1/events", self._events)
        app.router.add_post("/v1/admin/shutdown", self._end)
        app.router.add_post("/v1/admin/shutdown-if-idle", self._end_if_idle)
        return app

    def becomes(self, state: str, keep_alive_s: float | None = None) -> None:
        free = {"loading": 0, "idle": 2, "busy": 1, "unhealthy": 2}[state]
        self.says(WorkerStatus(state, 2, free, keep_alive_s))  # type: ignore[arg-type]

    def says(self, event: Event | None) -> None:
        """None ends the stream."""
        self._said.put_nowait(event)

    async def _health(self, _: web.Request) -> web.Response:
        self.asked_for_health += 1
        await self.answers.wait()
        if not self.healthy:
            return web.Response(status=500)
        reported = {"status": "healthy", "model_loaded": True, "memory_bytes": 1}
        return web.json_response(reported)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.followed += 1
        while (event := await self._said.get()) is not None:
            await response.write(sse.encode(event))
        return response

    async def _end(self, _: web.Request) -> web.Response:
        self.asked_to_end += 1
        if self.obeys and self.process is not None:
            self.process.ends(0)
        return web.Response(body=msgspec.json.encode({"message": "ends"}), status=202)

    async def _end_if_idle(self, _: web.Request) -> web.Response:
        if self.is_asked:
            error = ModelInUse(model="file:/m.gguf", workers=[])
            return web.Response(body=msgspec.json.encode(error.envelope()), status=409)
        return web.Response(body=msgspec.json.encode({"message": "ends"}), status=202)


class Process:
    """The worker's process, as far as its hive sees it."""

    def __init__(self) -> None:
        self.code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.patience: list[float] = []
        self.lifeline = type("Lifeline", (), {"close": lambda _: None})()

    def ends(self, code: int) -> None:
        if not self.code.done():
            self.code.set_result(code)

    async def wait(self) -> int:
        return await asyncio.shield(self.code)

    async def end(self, within_s: float) -> int:
        self.patience.append(within_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), within_s)
        self.ends(-signal.SIGKILL)
        return await self.wait()


class Made:
    def __init__(
        self, worker: Worker, process: Process, reported: list[Event], found: WorkerProcess
    ) -> None:
        self.worker, self.process, self.reported, self.running = worker, process, reported, found

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not what():  # noqa: ASYNC110  what is waited for comes over HTTP
                await asyncio.sleep(0.01)

    async def gone(self) -> WorkerGone:
        async with asyncio.timeout(10):
            return await asyncio.shield(self.running.gone)

    @property
    def row(self) -> WorkerRow:
        return self.running.row()

    def states(self) -> list[str]:
        return [event.state for event in self.reported if isinstance(event, WorkerRow)]


@contextlib.asynccontextmanager
async def played(
    state: str, calls_back: bool = True, health_interval_s: float = 0.1
) -> AsyncIterator[Made]:
    """A worker in a state, registered if it calls back; its health is checked at that interval,
    which is also how long an answer may take, and it may be idle for 60 s."""
    worker, reported = Worker(), list[Event]()
    config = Config(
        hive=HiveSection(health_interval_s=health_interval_s, idle_timeout_s=60),
        times=TimesSection(grace_s=0.2),
    )
    async with TestServer(worker.application(), host="127.0.0.1") as server:
        worker.process = Process()
        url = str(server.make_url("/")).rstrip("/")
        client = Client(url, "k", 5, 5)
        launched = LaunchedWorker(cast(child.Child, worker.process), url, client)
        found = WorkerProcess(
            SPEC,
            launched,
            config,
            reported.append,
            FileChanges(()),
            judge_every_s=0.02,
            reconnect_s=0.02,
        )
        if calls_back:
            found.register()
        made = Made(worker, worker.process, reported, found)
        worker.becomes(state)
        await made.until(lambda: found.row().state == state)
        yield made
        worker.process.ends(0)
        await made.gone()


@pytest.fixture
async def made() -> AsyncIterator[Made]:
    """One that is idle."""
    async with played("idle") as one:
        yield one


async def test_a_reply_moves_the_last_health_and_no_activity(made: Made) -> None:
    await made.until(lambda: made.row.last_health)
    first, activity = made.row.last_health, made.row.last_activity
    await made.until(lambda: made.row.last_health != first)
    assert made.row.last_activity == activity
    assert made.row.state == "idle"


@pytest.mark.behaviour("B2.2")
async def test_a_miss_is_shown_and_reported_and_a_reply_takes_it_back(made: Made) -> None:
    made.worker.healthy = False
    await made.until(lambda: made.row.state == "unhealthy")
    made.worker.healthy = True
    await made.until(lambda: made.row.state == "idle")
    assert made.states()[-2:] == ["unhealthy", "idle"]
    assert not made.running.gone.done()


async def test_three_misses_in_a_row_end_it_without_asking(made: Made) -> None:
    made.worker.healthy = False
    gone = await made.gone()
    assert gone.reason == "it did not answer its health checks"
    assert made.worker.asked_to_end == 0
    assert made.process.patience[0] == 0
    assert gone.exit_code == -signal.SIGKILL


async def test_while_loading_no_miss_counts(made: Made) -> None:
    made.worker.becomes("loading")
    await made.until(lambda: made.row.state == "loading")
    made.worker.healthy = False
    await asyncio.sleep(0.5)
    assert made.row.state == "loading"
    assert not made.running.gone.done()


async def test_an_idle_worker_is_asked_to_end_when_its_time_is_over(made: Made) -> None:
    made.worker.becomes("busy")
    await made.until(lambda: made.row.state == "busy")
    made.worker.becomes("idle", keep_alive_s=0.2)
    began = time.monotonic()
    gone = await made.gone()
    assert time.monotonic() - began > 0.1
    assert (gone.reason, gone.exit_code) == ("it was idle for too long", 0)
    assert made.worker.asked_to_end == 1


async def test_a_busy_worker_is_not_idle_for_too_long(made: Made) -> None:
    made.worker.becomes("busy", keep_alive_s=0.0)
    await made.until(lambda: made.row.state == "busy")
    await asyncio.sleep(0.3)
    assert not made.running.gone.done()


@pytest.mark.behaviour("B2.2")
async def test_a_crash_is_reported_at_once(made: Made) -> None:
    began = time.monotonic()
    made.process.ends(-signal.SIGKILL)
    gone = await made.gone()
    assert time.monotonic() - began < 1
    assert made.reported[-1] == gone
    assert gone.reason == "it was ended by signal 9"


async def test_one_that_hears_and_does_not_end_is_given_its_grace_and_no_more(made: Made) -> None:
    made.worker.obeys = False
    code = await made.running.end("it was told to end")
    assert (made.worker.asked_to_end, code) == (1, -signal.SIGKILL)
    assert made.process.patience[0] == pytest.approx(1.2)
    assert (await made.gone()).reason == "it was told to end"


async def test_two_who_end_it_ask_it_once(made: Made) -> None:
    await asyncio.gather(made.running.end("one"), made.running.end("other"))
    assert made.worker.asked_to_end == 1
    assert made.running.is_ending


End = Callable[..., Awaitable[WorkerGone]]


@pytest.fixture
async def end(home: Path) -> AsyncIterator[End]:
    """End a worker in a state, with a code, after it logged some lines; gives what is reported."""

    async def become(code: int, *lines: str, state: str = "loading") -> WorkerGone:
        file = paths.log_file(WORKER, SPEC.worker_id)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines))
        async with played(state) as made:
            made.process.ends(code)
            gone = await made.gone()
            await asyncio.sleep(0)
            assert made.reported[-1] == gone
        assert (gone.worker_id, gone.exit_code) == ("w-1", code)
        return gone

    yield become


async def test_a_crash_while_loading_is_reported_with_llama_cpps_last_line(end: End) -> None:
    gone = await end(-signal.SIGABRT, "reading", "GGML_ASSERT(n_dims) failed")
    assert gone.error is not None
    assert gone.error["code"] == "UNSUPPORTED_MODEL_FORMAT"
    assert gone.error["details"]["value"] == "/m.gguf"  # type: ignore[index]
    assert "/m.gguf: GGML_ASSERT(n_dims) failed (signal 6)" in gone.reason
    assert gone.log_tail == ["reading", "GGML_ASSERT(n_dims) failed"]


async def test_a_worker_that_says_it_is_unhealthy_is_ended_in_order(made: Made) -> None:
    made.worker.becomes("unhealthy")
    gone = await made.gone()
    assert made.worker.asked_to_end == 1
    assert gone.reason == "it could not compute its last requests"
    assert "unhealthy" in made.states()


async def test_what_the_worker_named_itself_goes_before_a_crash(end: End) -> None:
    body = BackendUnavailable(backend="cuda", available=["cpu"]).envelope().error
    named = msgspec.json.encode(Failed(WORKER, msgspec.to_builtins(body))).decode()
    gone = await end(-signal.SIGABRT, named)
    assert gone.error is not None
    assert gone.error["code"] == "BACKEND_UNAVAILABLE"


async def test_a_crash_of_a_loaded_worker_is_not_the_models(end: End) -> None:
    gone = await end(-signal.SIGSEGV, "an answer", state="idle")
    assert gone.error is None
    assert gone.reason == "it was ended by signal 11"


async def test_a_worker_that_was_killed_while_loading_is_not_the_models(end: End) -> None:
    gone = await end(-signal.SIGKILL)
    assert gone.error is None
    assert gone.reason == "it was ended by signal 9"


async def test_a_worker_that_ended_by_itself_is_reported_by_its_code(end: End) -> None:
    gone = await end(3)
    assert (gone.error, gone.reason) == (None, "it ended with code 3")
    assert not gone.stalled


@contextlib.asynccontextmanager
async def watched(made: Made) -> AsyncIterator[list[object]]:
    """The load of a worker that has just been registered, as its starter follows it, to the end."""
    told: list[object] = []
    watching = asyncio.create_task(made.running.watch_load(told.append))
    await made.until(lambda: told)
    yield told
    async with asyncio.timeout(10):
        await watching


async def test_a_starter_follows_the_load_up_to_the_row_of_a_loaded_worker() -> None:
    layers = Loading("loading_to_vram", 1, 2, 0.5)
    async with played("loading") as made:
        async with watched(made) as told:
            loading = made.row
            made.worker.says(layers)
            made.worker.becomes("idle")
        assert told == [loading, layers, Loading("ready"), made.row]
        made.worker.becomes("busy")
        await made.until(lambda: made.row.state == "busy")
        assert len(told) == 4


async def test_a_starter_is_told_how_a_worker_ended_that_did_not_load() -> None:
    async with played("loading") as made:
        async with watched(made) as told:
            made.process.ends(-signal.SIGKILL)
        assert told[1:] == [await made.gone()]
        late: list[object] = []
        await made.running.watch_load(late.append)
        assert late == [await made.gone()]


async def test_a_worker_that_is_loaded_is_registered_even_without_its_callback() -> None:
    async with played("loading") as made:
        async with watched(made) as told:
            made.running.registered = False
            made.worker.becomes("idle")
        assert told[1:] == [Loading("ready"), made.row]
        assert made.running.registered


async def test_a_worker_that_listens_is_not_registered_before_it_calls_back() -> None:
    async with played("loading", calls_back=False) as made:
        await asyncio.sleep(0.2)
        assert (made.running.registered, made.states()) == (False, [])
        made.running.register()
        assert made.states() == ["loading"]


async def test_a_worker_that_nobody_knows_of_ends_with_its_starter() -> None:
    async with played("loading") as made:
        made.running.registered = False
        watching = asyncio.create_task(made.running.watch_load(lambda _: None))
        await asyncio.sleep(0)
        watching.cancel()
        assert (await made.gone()).reason == "nobody waits for it any more"


@pytest.mark.parametrize("end_with_watcher", [True, False])
async def test_a_worker_that_loads_ends_with_its_starter_if_that_was_asked(
    end_with_watcher: bool,
) -> None:
    async with played("loading") as made:
        watching = asyncio.create_task(made.running.watch_load(lambda _: None, end_with_watcher))
        await asyncio.sleep(0)
        watching.cancel()
        await asyncio.wait({watching})
        assert made.running.is_ending == end_with_watcher
        if end_with_watcher:
            assert (await made.gone()).reason == "nobody waits for it any more"


async def test_a_worker_that_ends_is_not_connected_to_again() -> None:
    """Its port may be another worker's by then."""
    async with played("idle") as made:
        made.worker.obeys = False
        made.worker.says(None)
        await made.until(lambda: made.worker.followed == 2)
        ending = asyncio.create_task(made.running.end("it was told to end"))
        await made.until(lambda: made.worker.asked_to_end)
        made.worker.says(None)
        await ending
        assert made.worker.followed == 2


async def test_what_changes_during_a_health_check_is_reported_once() -> None:
    async with played("loading", health_interval_s=1) as made:
        made.worker.answers.clear()
        asked = made.worker.asked_for_health
        await made.until(lambda: made.worker.asked_for_health > asked)
        made.worker.becomes("idle")
        await made.until(lambda: made.row.state == "idle")
        made.worker.answers.set()
        await made.until(lambda: made.worker.asked_for_health > asked + 1)
        states = [each.state for each in made.reported if isinstance(each, WorkerRow)]
        assert states.count("idle") == 1, states


@pytest.mark.parametrize("state", ["busy", "loading", "unhealthy"])
async def test_one_that_is_not_idle_is_not_ended_to_make_room(state: str) -> None:
    async with played(state) as made:
        with pytest.raises(ModelInUse) as caught:
            await made.running.end_if_idle("its memory was wanted")
        assert caught.value.details == {"model": "file:/m.gguf", "workers": ["w-1"]}
        assert not made.running.is_ending
        assert made.worker.asked_to_end == 0


async def test_a_request_that_only_the_worker_knows_of_keeps_it(made: Made) -> None:
    made.worker.is_asked = True
    with pytest.raises(ModelInUse):
        await made.running.end_if_idle("its memory was wanted")
    assert not made.running.is_ending
    made.worker.is_asked = False
    await made.running.end_if_idle("its memory was wanted")
    assert (await made.gone()).reason == "its memory was wanted"


async def test_its_row_says_whether_it_is_pinned_and_what_it_frees(made: Made) -> None:
    assert (made.row.pinned, made.row.frees_bytes) == (False, SPEC.frees_bytes)
    for keep_alive_s, pinned in ((-1.0, True), (0.0, False), (60.0, False), (-1.0, True)):
        made.worker.becomes("busy", keep_alive_s)
        await made.until(lambda: made.row.state == "busy")
        assert made.row.pinned is pinned
        made.worker.becomes("idle", 60.0)
        await made.until(lambda: made.row.state == "idle")
