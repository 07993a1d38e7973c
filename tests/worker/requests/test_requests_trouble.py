"""What the requests make of a model that fails, and of files that change."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rbee.contract.errors import (
    ComputeFailed,
    Internal,
    RbeeError,
    RequestCanceled,
    ShuttingDown,
)
from rbee.contract.events import Done, Event, Token
from rbee.contract.tasks import InferenceRequest
from rbee.contract.workers import WorkerStatus
from rbee.runtime.broadcast import Broadcast
from rbee.worker.engine.compute_errors import not_numbers, refused
from rbee.worker.engine.request import Output, Request
from rbee.worker.requests.requests import Requests

FILE = Path("/m.gguf")
FAILED = not_numbers(FILE)
DONE = Done(True, 1, 1.0, 1, 0, 1.0, 1.0, "EOS")


class Submitted:
    """In place of the engine."""

    def submit(self, request: Request) -> None:
        """It computes nothing."""


class Files:
    """Counts the looks at them. A test says what becomes of them: `wrong` is what is raised."""

    def __init__(self) -> None:
        self.wrong: RbeeError | None = None
        self.is_hung = False
        self.looks = 0

    async def check(self) -> None:
        self.look()
        if self.wrong is not None:
            raise self.wrong

    def look(self) -> None:
        self.looks += 1


class Bench:
    """Two slots. A step ends requests by what the test says."""

    def __init__(self) -> None:
        self.now = 0.0
        self.files = Files()
        self.requests = Requests(2, "file:/m.gguf", Broadcast[Event](), lambda: self.now)
        loaded: Any = SimpleNamespace(context=SimpleNamespace(tokens=100))
        self.requests.open(loaded, Submitted(), self.files)  # type: ignore[arg-type]

    async def begin(self, name: str) -> Request:
        """A request that runs until a step ends it."""
        request = await self.requests.admitted(name).__aenter__()
        request.inference, request.texts = InferenceRequest(prompt="x"), [[1]]
        self.requests.submit(request)
        return request

    async def step(self, *outputs: Output) -> str:
        """One step that makes these outputs, each of a request of its own; the state after it."""
        begun = [await self.begin(str(number)) for number in range(len(outputs))]
        self.requests.take(list(zip(begun, outputs, strict=True)))
        return self.requests.status().state


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_two_steps_in_a_row_that_fail_make_the_worker_unhealthy(bench: Bench) -> None:
    assert [await bench.step(FAILED), await bench.step(FAILED)] == ["idle", "unhealthy"]


async def test_one_step_that_ends_two_requests_is_one_failure(bench: Bench) -> None:
    assert await bench.step(FAILED, FAILED) == "idle"


async def test_an_answer_in_between_makes_it_healthy_again(bench: Bench) -> None:
    states = [await bench.step(output) for output in (FAILED, DONE, FAILED, FAILED, DONE)]
    assert states == ["idle", "idle", "idle", "unhealthy", "idle"]


@pytest.mark.parametrize("output", [RequestCanceled(), Internal(correlation_id="")])
async def test_another_end_in_between_changes_nothing(bench: Bench, output: Output) -> None:
    assert [await bench.step(each) for each in (FAILED, output, FAILED)][-1] == "unhealthy"


@pytest.mark.parametrize("code", [-2, -3, 2])
def test_what_llama_cpp_could_not_compute_counts(code: int) -> None:
    assert isinstance(refused(FILE, code), ComputeFailed)


@pytest.mark.parametrize("code", [1, -1])
def test_a_batch_that_it_should_not_have_got_is_our_fault(code: int) -> None:
    assert isinstance(refused(FILE, code), Internal)


async def test_a_request_is_refused_once_the_files_have_changed(bench: Bench) -> None:
    bench.files.wrong = ShuttingDown("changed")
    with pytest.raises(ShuttingDown):
        await bench.begin("x")
    assert bench.requests.status().slots_available == 2


async def test_a_worker_whose_files_cannot_be_looked_at_is_unhealthy_until_they_can(
    bench: Bench,
) -> None:
    bench.files.wrong, bench.files.is_hung = FAILED, True
    with pytest.raises(ComputeFailed):
        await bench.begin("x")
    assert bench.requests.status() == WorkerStatus("unhealthy", 2, 2)
    bench.files.wrong, bench.files.is_hung = None, False
    await bench.begin("x")
    assert bench.requests.status() == WorkerStatus("busy", 2, 1)


async def test_the_files_are_looked_at_once_a_second_while_answers_are_made(bench: Bench) -> None:
    request = await bench.begin("x")
    begun = bench.files.looks
    for tenth in range(1, 31):
        bench.now = tenth / 10
        bench.requests.take([(request, Token("a", tenth))])
    assert bench.files.looks - begun == 3
