"""`rbee-keeper worker …` and `workers …`: what is asked, shown and returned."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rbee.contract import endpoints as ep
from rbee.contract.daemons import Ack
from rbee.contract.errors import NotFound, VramExhausted
from rbee.contract.events import Loading, Narration
from rbee.contract.workers import (
    NodeWorkerRow,
    NodeWorkerRows,
    WorkerCheck,
    WorkerChecks,
)

FakeQueen = Any
Keeper = Callable[..., Any]

ROW = NodeWorkerRow(
    "worker-1", "workstation", "busy", "hf:a/b", "http://10.0.0.2:8001", "cuda", 1, 4, 3
)
TOLD = [
    Narration("rbee-hive", "worker startup: starting worker-1 on cuda", "c", "🚀"),
    Loading("ready"),
]
CHECK = WorkerCheck(
    worker_id="worker-1",
    node="workstation",
    model_ref="hf:a/b",
    state="idle",
    status="healthy",
    memory_bytes=375_000_000,
)
AWAY = WorkerCheck(
    worker_id="worker-2",
    node="workstation",
    model_ref="hf:a/b",
    state="unhealthy",
    status="unreachable",
)
FULL = VramExhausted(node="workstation", device="cuda:0", required=6000, available=4000)


@pytest.mark.parametrize("words", [["a/b"], ["--model", "a/b"], ["--model=a/b"]])
def test_the_model_to_load_is_an_argument_or_an_option(
    fake_queen: FakeQueen, keeper: Keeper, words: list[str]
) -> None:
    fake_queen.on(ep.QUEEN_WORKER_START, [ROW])
    fake_queen.on(ep.QUEEN_KEEP, Ack("kept"))
    assert keeper("worker", "start", *words).exit_code == 0
    assert fake_queen.body(ep.QUEEN_WORKER_START)["model"] == "a/b"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "rbee-keeper worker start MODEL"),
        (["a/b", "--model", "a/b"], "Name the model once: MODEL or --model."),
        (["m" * 5000], "MODEL must be a text of at most 4096 characters"),
        (["--model", "m" * 5000], "--model must be a text of at most 4096 characters"),
    ],
)
def test_one_model_is_loaded(keeper: Keeper, words: list[str], said: str) -> None:
    done = keeper("worker", "start", *words)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_a_started_worker_is_named_and_the_queen_is_kept(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_WORKER_START, [*TOLD, ROW])
    fake_queen.on(ep.QUEEN_KEEP, Ack("kept"))
    done = keeper("worker", "start", "--node", "workstation", "--model", "a/b", "--slots", "4")
    assert (done.exit_code, done.stdout) == (
        0,
        "worker-1 runs on workstation: hf:a/b, cuda:1\n",
    )
    assert done.stderr == "[rbee-hive] 🚀 worker startup: starting worker-1 on cuda\n"
    asked = fake_queen.body(ep.QUEEN_WORKER_START)
    assert {name: value for name, value in asked.items() if value} == {
        "node": "workstation",
        "model": "a/b",
        "slots": 4,
    }
    assert fake_queen.paths() == [ep.QUEEN_WORKER_START.path, ep.QUEEN_KEEP.path]


def test_in_json_every_event_is_a_line(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_WORKER_START, [*TOLD, ROW])
    fake_queen.on(ep.QUEEN_KEEP, Ack("kept"))
    done = keeper("worker", "start", "--model", "a/b", "--json", "--quiet")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["narration", "loading", "ready"]
    assert lines[-1]["data"]["worker_id"] == "worker-1"
    assert done.stderr == ""


def test_a_worker_that_does_not_start_keeps_no_queen(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_WORKER_START, [*TOLD, FULL.envelope()])
    done = keeper("worker", "start", "--model", "a/b")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error [VRAM_EXHAUSTED]: workstation has 4000 MB free" in done.stderr
    assert fake_queen.paths() == [ep.QUEEN_WORKER_START.path]


def test_a_stream_without_a_ready_worker_is_no_success(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_WORKER_START, TOLD)
    done = keeper("worker", "start", "--model", "a/b")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "STREAM_TRUNCATED" in done.stderr


@pytest.mark.parametrize("flags", [["--slots", "0"], ["--context", "1"], ["--device", "-1"]])
def test_an_invalid_flag_is_not_sent(
    fake_queen: FakeQueen, keeper: Keeper, flags: list[str]
) -> None:
    assert keeper("worker", "start", "--model", "a/b", *flags).exit_code == 2
    assert fake_queen.paths() == []


def test_workers_are_a_table(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_WORKERS, NodeWorkerRows([ROW]))
    done = keeper("workers", "list")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        "WORKER    NODE         MODEL   STATE  BACKEND  SLOTS FREE\n"
        "worker-1  workstation  hf:a/b  busy   cuda:1   3 of 4\n"
    )
    assert json.loads(keeper("worker", "list", "--json").stdout)[0]["node"] == "workstation"


def test_without_workers_a_note_says_how_to_start_one(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_WORKERS, NodeWorkerRows([]))
    done = keeper("worker", "list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "No worker runs. Start one: rbee-keeper worker start MODEL\n"
    assert json.loads(keeper("worker", "list", "--json").stdout) == []


def test_the_workers_of_one_node_are_asked_for(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_WORKERS, NodeWorkerRows([ROW]))
    done = keeper("worker", "list", "--node", "workstation", "--json")
    assert json.loads(done.stdout)[0]["worker_id"] == "worker-1"
    assert fake_queen.asked[-1][1] == {"node": "workstation"}


def test_healthy_workers_exit_with_0(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_WORKER_HEALTH, WorkerChecks([CHECK]))
    done = keeper("workers", "health", "--node", "workstation")
    assert done.exit_code == 0
    assert done.stdout == (
        "WORKER    NODE         MODEL   STATE  HEALTH   MEMORY  LAST ANSWER\n"
        "worker-1  workstation  hf:a/b  idle   healthy  375 MB  -\n"
    )
    assert fake_queen.asked[-1][1] == {"node": "workstation"}


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_an_unhealthy_worker_exits_with_1(
    fake_queen: FakeQueen, keeper: Keeper, flags: list[str]
) -> None:
    fake_queen.on(ep.QUEEN_WORKER_HEALTH, WorkerChecks([CHECK, AWAY]))
    done = keeper("worker", "health", *flags)
    assert done.exit_code == 1
    assert "unreachable" in done.stdout
    assert fake_queen.asked[-1][1] == {}


@pytest.mark.parametrize("words", [("worker", "stop"), ("workers", "shutdown")])
def test_a_worker_that_ended_is_named(
    fake_queen: FakeQueen, keeper: Keeper, words: tuple[str, str]
) -> None:
    fake_queen.on(ep.QUEEN_WORKER_SHUTDOWN, Ack("worker-1 on workstation has ended."))
    done = keeper(*words, "--id", "worker-1")
    assert (done.exit_code, done.stdout) == (0, "worker-1 on workstation has ended.\n")
    assert fake_queen.body(ep.QUEEN_WORKER_SHUTDOWN) == {"worker_id": "worker-1"}


def test_an_unknown_worker_is_an_error(fake_queen: FakeQueen, keeper: Keeper) -> None:
    error = NotFound.of("worker_id", "there", "There is no worker x", "x", hint="Look.")
    fake_queen.on(ep.QUEEN_WORKER_SHUTDOWN, error)
    done = keeper("worker", "stop", "--id", "x")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "There is no worker x" in done.stderr
    assert "→ Look." in done.stderr
