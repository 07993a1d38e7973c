"""Which worker answers."""

from __future__ import annotations

import itertools

import pytest

from rbee.contract.workers import WorkerRow, WorkerState
from rbee.queen.tasks.placement import match

MODEL = "hf:a/b:Q8_0"


def worker(
    id: str,
    state: WorkerState = "idle",
    free: int = 4,
    model: str = MODEL,
    backend: str = "cpu",
    device: int = 0,
) -> WorkerRow:
    return WorkerRow(id, f"http://{id}", model, backend, device, state, None, None, 4, free)


def chosen(*workers: WorkerRow, backend: str | None = None, device: int | None = None) -> str:
    """The same whatever the order in which the hive lists them."""
    found = {match(rows, MODEL, backend, device) for rows in itertools.permutations(workers)}
    [one] = found
    return one.id if one else "none"


def test_without_workers_there_is_none() -> None:
    assert match([], MODEL, None, None) is None


def test_a_worker_with_another_model_is_none() -> None:
    assert chosen(worker("w", model="hf:a/b:Q4_0")) == "none"


def test_an_unhealthy_worker_is_never_chosen() -> None:
    assert chosen(worker("w", "unhealthy")) == "none"
    assert chosen(worker("w", "unhealthy"), worker("full", "busy", 0)) == "full"


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (worker("better", "idle"), worker("a", "busy", 3)),
        (worker("better", "idle"), worker("a", "loading", 0)),
        (worker("better", "idle"), worker("a", "busy", 0)),
        (worker("better", "idle", 1), worker("a", "busy", 3)),
        (worker("better", "busy", 1), worker("a", "loading", 0)),
        (worker("better", "busy", 1), worker("a", "busy", 0)),
        (worker("better", "idle", 4), worker("a", "idle", 2)),
        (worker("better", "busy", 3), worker("a", "busy", 1)),
    ],
)
def test_the_worker_that_answers_sooner_is_chosen(better: WorkerRow, worse: WorkerRow) -> None:
    assert chosen(better, worse) == "better"


@pytest.mark.parametrize("row", [worker("w", "busy", 0), worker("w", "loading", 0)])
def test_a_worker_that_makes_us_wait_is_better_than_none(row: WorkerRow) -> None:
    assert chosen(row) == "w"


def test_among_equals_the_choice_is_always_the_same() -> None:
    assert chosen(worker("b"), worker("a"), worker("c")) == "a"


def test_a_backend_that_was_asked_for_must_fit() -> None:
    on_cpu, on_cuda = worker("cpu"), worker("cuda", "busy", 1, backend="cuda")
    assert chosen(on_cpu, on_cuda, backend="cuda") == "cuda"
    assert chosen(on_cpu, backend="cuda") == "none"


def test_a_device_that_was_asked_for_must_fit() -> None:
    first, second = worker("w0"), worker("w1", "loading", 0, device=1)
    assert chosen(first, second, device=1) == "w1"
    assert chosen(first, second, device=0) == "w0"
    assert chosen(first, device=2) == "none"


def test_backend_and_device_must_fit_both() -> None:
    rows = (worker("a", backend="cuda", device=0), worker("b", backend="cpu", device=1))
    assert chosen(*rows, backend="cuda", device=1) == "none"
