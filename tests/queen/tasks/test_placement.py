"""Which nodes are tried, in which order and why, and which worker of a node answers."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from rbee.contract.workers import WorkerRow, WorkerState
from rbee.queen.tasks.placement import Candidate, Verdict, match_worker, rank_nodes
from rbee.queen.tasks.sessions import Place

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
    found = {match_worker(rows, MODEL, backend, device) for rows in itertools.permutations(workers)}
    [one] = found
    return one.id if one else "none"


def test_without_workers_there_is_none() -> None:
    assert match_worker([], MODEL, None, None) is None


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
        (worker("better", "loading", 0), worker("a", "busy", 0)),
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


RANKED = "hf:owner/repo/m-Q4_K_M.gguf"
GB = 1_000_000_000


def held(
    state: WorkerState = "idle", available: int = 4, model: str = RANKED, backend: str = "cpu"
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
    forth = rank_nodes(nodes, RANKED, backend, device)
    assert rank_nodes(nodes[::-1], RANKED, backend, device) == forth
    return [verdict.node for verdict in forth]


def only(node: Candidate, backend: str | None = None, device: int | None = None) -> Verdict:
    (verdict,) = rank_nodes([node], RANKED, backend, device)
    return verdict


IDLE = up("z-idle", workers=[held()])
FREE = up("y-free", workers=[held("busy", 1)])
LOADING = up("y-loading", workers=[held("loading", 0)])
FULL = up("x-full", workers=[held("busy", 0)])
FILE = up("w-file", model_ref=RANKED)
RUNS = up("v-runs")
LOCAL = up("localhost")
ROOMY = up("u-roomy", free_bytes={"cpu": 9 * GB})
STOPPED = down("t-stopped")
UNSURE = down("s-unsure")
ASLEEP = down("a-asleep", away="off", wakes=True, model_ref=RANKED, backends=["cuda"])


@pytest.mark.parametrize(
    ("better", "worse", "backend"),
    [
        (UNSURE, ASLEEP, None),
        (UNSURE, ASLEEP, "cuda"),
        (IDLE, FREE, None),
        (FREE, FULL, None),
        (LOADING, FULL, None),
        (FULL, FILE, None),
        (FILE, RUNS, None),
        (FILE, LOCAL, None),
        (down("file-down", model_ref=RANKED), LOCAL, None),
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
        (STOPPED, up("0-idle-away", away="gone", workers=[held()]), None),
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
            up("n", model_ref=RANKED, workers=[held()]),
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
            up("n", free_bytes={"cpu": GB}, required_bytes=2 * GB, workers=[held()]),
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
    node = up("n", backends=["cuda", "cpu"], workers=[held()])
    assert only(node, "cpu", 0).reasons[0] == "an idle worker holds the model"
    assert only(node, "cuda").reasons == ["its hive runs"]
    assert only(node, "cpu", 1).reasons == ["its hive runs"]


def test_a_worker_is_known_by_the_name_that_the_node_gives_the_model() -> None:
    file = "hf:owner/repo/m-Q8_0.gguf"
    node = up("n", model_ref=file, workers=[held(model=file)])
    assert only(node).reasons[0] == "an idle worker holds the model"
    assert only(up("n", workers=[held(model=file)])).reasons == ["its hive runs"]


def test_an_unhealthy_worker_is_none() -> None:
    assert only(up("n", workers=[held("unhealthy")])).reasons == ["its hive runs"]


def test_all_that_can_come_before_all_that_can_not() -> None:
    away = down("a", away="refused")
    assert order(away, IDLE, FREE, FULL, FILE, ROOMY, RUNS, STOPPED) == [
        "z-idle", "y-free", "x-full", "w-file", "u-roomy", "v-runs", "t-stopped", "a",
    ]  # fmt: skip


def test_the_free_memory_of_the_backend_that_was_asked_for_counts() -> None:
    free = {"cuda": 2 * GB, "cpu": 90 * GB}
    node = up("n", backends=["cuda", "cpu"], free_bytes=free)
    assert only(node, "cpu").reasons == ["its hive runs", "90000 MB are free"]
    assert only(node).reasons == ["its hive runs", "2000 MB are free"]
    assert only(down("n", free_bytes=free)).reasons[-1] == "90000 MB are free"


def test_of_two_equal_nodes_the_first_name_comes_first_whatever_is_said_of_them() -> None:
    assert order(up("b", free_bytes={"cuda": GB}), up("a")) == ["a", "b"]


@pytest.mark.parametrize(
    ("row", "other", "found"),
    [
        (worker("last"), worker("a"), "last"),
        (worker("last", "busy", 1), worker("a"), "last"),
        (worker("last", "busy", 0), worker("a", "busy", 1), "a"),
        (worker("last", "busy", 0), worker("a", "loading", 0), "a"),
        (worker("last", "busy", 0), worker("a", "busy", 0), "last"),
        (worker("last", "unhealthy"), worker("a"), "a"),
        (worker("last", model="hf:a/b:Q4_0"), worker("a"), "a"),
    ],
)
def test_the_last_worker_of_a_session_comes_first_unless_it_makes_us_wait(
    row: WorkerRow, other: WorkerRow, found: str
) -> None:
    chosen_one = match_worker([other, row], MODEL, None, None, last="last")
    assert chosen_one is not None and chosen_one.id == found


@pytest.mark.parametrize(
    ("last", "first"),
    [
        (worker("last"), "far"),
        (worker("last", "busy", 2), "far"),
        (worker("last", "busy", 0), "localhost"),
        (worker("other"), "localhost"),
    ],
)
def test_the_node_of_the_last_worker_comes_first_unless_it_makes_us_wait(
    last: WorkerRow, first: str
) -> None:
    nodes = [
        Candidate(node="far", is_up=True, workers=[last], model_ref=MODEL),
        Candidate(node="localhost", is_up=True, workers=[worker("last-here")], model_ref=MODEL),
    ]
    verdicts = rank_nodes(nodes, MODEL, None, None, before=Place("far", "last"))
    assert verdicts[0].node == first
    assert ("session" in verdicts[0].reasons[0]) == (first == "far")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, "small"),
        (255, "small"),
        (256, "small"),
        (257, "large"),
        (1024, "large"),
        (1025, None),
    ],
)
def test_a_worker_has_at_least_the_context_that_is_wanted(
    wanted: int | None, found: str | None
) -> None:
    small = msgspec.structs.replace(worker("small", free=4), context=256)
    large = msgspec.structs.replace(worker("large", free=3), context=1024)
    unknown = worker("unknown", free=4 if wanted else 0)
    best = match_worker([large, unknown, small], MODEL, None, None, wanted)
    assert (best.id if best else None) == found


def test_a_node_whose_worker_has_too_little_context_is_no_better_than_another() -> None:
    row = msgspec.structs.replace(held(), context=256)
    nodes = [up("b-small", workers=[row]), up("a-empty")]
    assert rank_nodes(nodes, RANKED, None, None, 256)[0].node == "b-small"
    assert rank_nodes(nodes, RANKED, None, None, 512)[0].node == "a-empty"


def test_a_node_that_sleeps_can_if_it_may_be_woken() -> None:
    assert only(ASLEEP) == Verdict(
        "a-asleep", True, ["the model is there", "it sleeps, and can be woken"]
    )
    assert only(down("a", away="off", wakes=True, backends=["cpu"]), "cuda").can is False
    assert only(down("a", away="off")).reasons == ["it did not answer: off"]
