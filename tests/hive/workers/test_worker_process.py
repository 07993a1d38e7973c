"""What is told of a worker that ended: its own word, a crash on its model, or only its code."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from rbee.contract.config import Config
from rbee.contract.daemons import Failed
from rbee.contract.errors import BackendUnavailable
from rbee.contract.events import Event
from rbee.contract.workers import WorkerGone, WorkerStatus
from rbee.hive.workers import worker_logs as logs
from rbee.hive.workers.worker_process import Plan, Supervised
from rbee.runtime import paths
from rbee.runtime.client import Client

PLAN = Plan(
    worker_id="w-1",
    model_ref="file:/m.gguf",
    file="/m.gguf",
    backend="cpu",
    device=0,
    slots=2,
    correlation_id="c-1",
)


class Ending:
    """A child that ends when it is told with what code."""

    def __init__(self) -> None:
        self.code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.lifeline = SimpleNamespace(close=lambda: None)

    async def wait(self) -> int:
        return await asyncio.shield(self.code)

    async def end(self, within_s: float) -> int:
        if not self.code.done():
            self.code.set_result(-signal.SIGTERM)
        return await self.wait()


End = Callable[..., Awaitable[WorkerGone]]


@pytest.fixture
async def end(home: Path) -> AsyncIterator[End]:
    """End a worker in a state, with a code, after it logged some lines; gives what is told."""

    async def become(code: int, *lines: str, state: str = "loading") -> WorkerGone:
        file = paths.log_file(logs.WORKER, PLAN.worker_id)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines))
        told: list[Event] = []
        child = Ending()
        # Nothing listens at port 1 of a machine in its right mind: no events, no health.
        url = "http://127.0.0.1:1"
        worker = Supervised(PLAN, child, url, Client(url, "k", 1, 1), Config(), told.append)  # type: ignore[arg-type]
        worker._hear(WorkerStatus(state, 2, 0 if state == "loading" else 2))  # type: ignore[arg-type]
        child.code.set_result(code)
        async with asyncio.timeout(5):
            gone = await worker.gone
        await asyncio.sleep(0)
        assert told[-1] == gone
        assert (gone.worker_id, gone.exit_code) == ("w-1", code)
        return gone

    yield become


async def test_a_crash_while_loading_is_told_as_a_corrupt_model(end: End) -> None:
    gone = await end(-signal.SIGABRT, "reading", "GGML_ASSERT(n_dims) failed")
    assert gone.error is not None
    assert gone.error["code"] == "MODEL_CORRUPT"
    assert gone.error["details"]["file"] == "/m.gguf"  # type: ignore[index]
    reason = gone.error["details"]["reason"]  # type: ignore[index]
    assert "signal 6" in reason
    assert "GGML_ASSERT(n_dims) failed" in reason
    assert "/m.gguf" in gone.reason
    assert gone.log_tail == ["reading", "GGML_ASSERT(n_dims) failed"]


async def test_a_crash_without_a_word_is_a_corrupt_model_all_the_same(end: End) -> None:
    gone = await end(-signal.SIGSEGV)
    assert gone.error is not None
    assert gone.error["code"] == "MODEL_CORRUPT"


async def test_what_the_worker_named_itself_goes_before_a_crash(end: End) -> None:
    body = BackendUnavailable(backend="cuda", available=["cpu"]).envelope().error
    named = msgspec.json.encode(Failed(logs.WORKER, msgspec.to_builtins(body))).decode()
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


async def test_a_worker_that_ended_by_itself_is_told_by_its_code(end: End) -> None:
    gone = await end(3)
    assert (gone.error, gone.reason) == (None, "it ended with code 3")
    assert not gone.stalled
