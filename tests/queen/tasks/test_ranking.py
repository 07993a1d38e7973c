"""Where a task goes: every rule of the order, and what a person reads of it."""

from __future__ import annotations

import pytest

from rbee.contract.workers import WorkerRow, WorkerState
from rbee.queen.tasks.ranking import Candidate, Verdict, rank

MODEL = "hf:owner/repo/m-Q4_K_M.gguf"
GB = 1_000_000_000


def worker(
    state: WorkerState = "idle", available: int = 4, model: str = MODEL, backend: str = "cpu"
) -> WorkerRow:
    return WorkerRow(
        f"worker-{state}", "http://w", model, backend, 0, state, None, None, 4, available
    )


def up(node: str, **known: object) -> Candidate:
    return Candidate(node=node, is_up=True, **{"backends": ["cpu"], **known})  # type: ignore[arg-type]


def down(node: str, **known: object) -> Candidate:
    return Candidate(node=node, is_up=False, **known)  # type: ignore[arg-type]


def order(*nodes: Candidate, backend: str | None = None, device: int | None = None) -> list[str]:
    """The same whatever the order in which they are told."""
    forth = rank(nodes, MODEL, backend, device)
    assert rank(nodes[::-1], MODEL, backend, device) == forth
    return [verdict.node for verdict in forth]


def only(node: Candidate, backend: str | None = None, device: int | None = None) -> Verdict:
    (verdict,) = rank([node], MODEL, backend, device)
    return verdict


IDLE = up("z-idle", workers=[worker()])
FREE = up("y-free", workers=[worker("busy", 1)])
LOADING = up("y-loading", workers=[worker("loading", 0)])
FULL = up("x-full", workers=[worker("busy", 0)])
FILE = up("w-file", model_ref=MODEL)
RUNS = up("v-runs")
LOCAL = up("localhost")
ROOMY = up("u-roomy", free_bytes={"cpu": 9 * GB})
STOPPED = down("t-stopped")
UNSURE = down("s-unsure")


@pytest.mark.parametrize(
    ("better", "worse", "backend"),
    [
        (IDLE, FREE, None),
        (FREE, FULL, None),
        (LOADING, FULL, None),
        (FULL, FILE, None),
        (FILE, RUNS, None),
        (FILE, LOCAL, None),
        (down("file-down", model_ref=MODEL), LOCAL, None),
        (RUNS, STOPPED, None),
        (RUNS, down("localhost"), None),
        (LOCAL, ROOMY, None),
        (down("localhost"), STOPPED, None),
        (ROOMY, RUNS, None),
        (up("b", free_bytes={"cpu": 2 * GB}), up("a", free_bytes={"cpu": GB}), None),
        (up("a"), up("b"), None),
        (RUNS, down("0-away", away="switched off"), None),
        (STOPPED, up("0-lacks", lacks=True), None),
        (STOPPED, up("0-full", free_bytes={"cpu": GB}, required_bytes=2 * GB), None),
        (down("z-cuda", backends=["cuda", "cpu"]), UNSURE, "cuda"),
        (UNSURE, up("0-cpu-only"), "cuda"),
        (STOPPED, up("0-idle-away", away="gone", workers=[worker()]), None),
    ],
)
def test_one_goes_before_the_other(
    better: Candidate, worse: Candidate, backend: str | None
) -> None:
    assert order(better, worse, backend=backend) == [better.node, worse.node]


@pytest.mark.parametrize(
    ("node", "backend", "can", "reasons"),
    [
        (IDLE, None, True, ["an idle worker holds the model", "its hive runs"]),
        (FREE, None, True, ["a worker with a free slot holds the model", "its hive runs"]),
        (LOADING, None, True, ["a worker with a free slot holds the model", "its hive runs"]),
        (FULL, None, True, ["a busy worker holds the model", "its hive runs"]),
        (FILE, None, True, ["the model is there", "its hive runs"]),
        (
            up("n", model_ref=MODEL, workers=[worker()]),
            None,
            True,
            ["an idle worker holds the model", "its hive runs"],
        ),
        (STOPPED, None, True, ["its hive is to be started"]),
        (ROOMY, None, True, ["its hive runs", "9000 MB are free"]),
        (
            UNSURE,
            "cuda",
            True,
            ["its hive is to be started", "what it computes on is not known yet"],
        ),
        (UNSURE, "cpu", True, ["its hive is to be started"]),
        (down("n", away="refused"), None, False, ["it did not answer: refused"]),
        (
            up("n", lacks=True),
            None,
            False,
            ["the model is not there, and can't be fetched"],
        ),
        (
            up("n", backends=["vulkan", "cpu"]),
            "cuda",
            False,
            ["it has no cuda, only vulkan, cpu"],
        ),
        (
            up("n", free_bytes={"cpu": GB}, required_bytes=GB + 1_000_000),
            None,
            False,
            ["1000 MB are free, the model needs 1001 MB"],
        ),
        (
            up("n", free_bytes={"cpu": GB}, required_bytes=GB),
            None,
            True,
            ["its hive runs", "1000 MB are free"],
        ),
        (
            up("n", free_bytes={"cpu": GB}, required_bytes=2 * GB, workers=[worker()]),
            None,
            True,
            ["an idle worker holds the model", "its hive runs", "1000 MB are free"],
        ),
        (up("n", required_bytes=2 * GB), None, True, ["its hive runs"]),
    ],
)
def test_what_is_said_of_a_node(
    node: Candidate, backend: str | None, can: bool, reasons: list[str]
) -> None:
    assert only(node, backend) == Verdict(node.node, can, reasons)


def test_the_best_backend_of_a_node_counts_where_none_is_asked_for() -> None:
    free = {"cuda": 2 * GB, "cpu": 90 * GB}
    node = up("n", backends=["cuda", "cpu"], free_bytes=free, required_bytes=3 * GB)
    assert only(node).reasons == ["2000 MB are free, the model needs 3000 MB"]
    assert only(node, "cpu").can


def test_a_worker_elsewhere_than_asked_for_is_none() -> None:
    node = up("n", backends=["cuda", "cpu"], workers=[worker()])
    assert only(node, "cpu", 0).reasons[0] == "an idle worker holds the model"
    assert only(node, "cuda").reasons == ["its hive runs"]
    assert only(node, "cpu", 1).reasons == ["its hive runs"]


def test_a_worker_is_known_by_the_name_that_the_node_gives_the_model() -> None:
    file = "hf:owner/repo/m-Q8_0.gguf"
    node = up("n", model_ref=file, workers=[worker(model=file)])
    assert only(node).reasons[0] == "an idle worker holds the model"
    assert only(up("n", workers=[worker(model=file)])).reasons == ["its hive runs"]


def test_an_unhealthy_worker_is_none() -> None:
    assert only(up("n", workers=[worker("unhealthy")])).reasons == ["its hive runs"]


def test_all_that_can_come_before_all_that_can_not() -> None:
    away = down("a", away="refused")
    assert order(away, IDLE, FREE, FULL, FILE, ROOMY, RUNS, STOPPED) == [
        "z-idle", "y-free", "x-full", "w-file", "u-roomy", "v-runs", "t-stopped", "a",
    ]  # fmt: skip
