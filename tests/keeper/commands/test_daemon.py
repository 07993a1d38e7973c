"""`rbee-keeper daemon stop`: what has ended, counted from the events."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rbee.contract import endpoints as ep
from rbee.contract.errors import Internal, ShuttingDown
from rbee.contract.events import Narration
from rbee.contract.nodes import HiveGone
from rbee.contract.workers import NodeWorkerRow, NodeWorkerRows, WorkerGone
from rbee.keeper.commands.daemon import Shutdown

FakeQueen = Any
Keeper = Callable[..., Any]


def row(worker: str, node: str) -> NodeWorkerRow:
    return NodeWorkerRow(worker, node, "idle", "hf:a/b", "http://h:1", "cpu", 0, 4, 4)


def gone(worker: str) -> WorkerGone:
    return WorkerGone(worker, "it was told to end", 0, [])


LISTED = NodeWorkerRows([row("w1", "n"), row("w2", "n")])


def test_what_has_ended_is_counted_from_the_events(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_WORKERS, LISTED)
    fake_queen.last_words = [
        Narration("rbee-hive", "ending 2 workers", "c", "🛑", "n"),
        gone("w1"),
        gone("w2"),
        HiveGone("n", "ended", 2),
    ]
    done = keeper("daemon", "stop")
    assert done.exit_code == 0
    pid = fake_queen.process.pid
    assert done.stdout == f"queen-rbee stopped (pid {pid}); 1 hive and 2 workers ended\n"
    assert done.stderr == "[rbee-hive] 🛑 ending 2 workers\n"
    fake_queen.process.wait(5)
    asked = fake_queen.paths()
    assert asked.index(ep.QUEEN_EVENTS.path) < asked.index(ep.SHUTDOWN.path)


@pytest.mark.parametrize(
    ("how", "words", "counted"),
    [
        ("killed", "did not end in time and was killed", "1 hive and 1 worker"),
        ("lost", "connection to it was lost", "0 hives and 0 workers"),
        ("left", "was started by someone else", "0 hives and 0 workers"),
    ],
)
def test_a_hive_that_did_not_end_in_order_is_reported(
    fake_queen: FakeQueen, keeper: Keeper, how: Any, words: str, counted: str
) -> None:
    fake_queen.on(ep.QUEEN_WORKERS, NodeWorkerRows([]))
    fake_queen.last_words = [HiveGone("n", how, 1)]
    done = keeper("daemon", "stop")
    assert done.exit_code == 0
    assert f"; {counted} ended\n" in done.stdout
    assert "The hive on n: " in done.stderr and words in done.stderr


def test_a_queen_whose_stream_breaks_off_is_stopped(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_WORKERS, LISTED)
    fake_queen.marks_the_end = False
    fake_queen.last_words = [HiveGone("n", "ended", 2)]
    done = keeper("daemon", "stop")
    assert done.exit_code == 0
    assert done.stdout.endswith("; 1 hive and 2 workers ended\n")
    assert done.stderr == ""


def test_events_that_arrive_after_the_queen_is_gone_are_counted(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_WORKERS, LISTED)
    fake_queen.dies_first = True
    fake_queen.last_words = [HiveGone("n", "ended", 2)]
    assert keeper("daemon", "stop").stdout.endswith("; 1 hive and 2 workers ended\n")


@pytest.mark.parametrize("endpoint", [ep.QUEEN_EVENTS, ep.QUEEN_WORKERS])
def test_a_queen_without_events_is_stopped_all_the_same(
    fake_queen: FakeQueen, keeper: Keeper, endpoint: Any
) -> None:
    fake_queen.on(ep.QUEEN_WORKERS, LISTED)
    fake_queen.on(
        endpoint, ShuttingDown() if endpoint is ep.QUEEN_EVENTS else Internal(correlation_id="")
    )
    done = keeper("daemon", "stop")
    assert done.exit_code == 0
    assert "0 hives and 0 workers ended" in done.stdout
    fake_queen.process.wait(5)


def test_without_a_queen_there_is_nothing_to_stop(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RBEE_QUEEN_URL", "http://127.0.0.1:9")
    done = keeper("daemon", "stop")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "No queen-rbee runs at http://127.0.0.1:9.\n"


def test_a_queen_whose_scheduler_stands_still_is_found_and_told(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_WORKERS, LISTED)
    assert "serves no task" not in keeper("daemon", "status").stderr
    fake_queen.status = "stalled"
    done = keeper("daemon", "status")
    assert (done.exit_code, done.stdout.startswith("queen-rbee ")) == (0, True)
    assert "It serves no task that waits" in done.stderr
    assert "rbee-keeper daemon stop" in done.stderr
    shown = json.loads(keeper("daemon", "status", "--json").stdout)
    assert shown["queen"]["status"] == "stalled"


def told(workers: list[NodeWorkerRow], *events: Any) -> str:
    shutdown = Shutdown(workers)
    for event in events:
        shutdown.add(event)
    return shutdown.summary


@pytest.mark.parametrize(
    ("workers", "events", "words"),
    [
        ([], [], "0 hives and 0 workers ended"),
        ([], [HiveGone("n", "ended", 0)], "1 hive and 0 workers ended"),
        # Heard of twice, counted once.
        ([row("w1", "n")], [gone("w1"), HiveGone("n", "ended", 1)], "1 hive and 1 worker ended"),
        # Their own ends unheard: they went with their hive.
        (
            [row("w1", "n"), row("w2", "n")],
            [HiveGone("n", "ended", 0)],
            "1 hive and 2 workers ended",
        ),
        # One more than the list knew.
        ([row("w1", "n")], [HiveGone("n", "ended", 2)], "1 hive and 2 workers ended"),
        ([], [gone("w1"), gone("w1"), gone("w2")], "0 hives and 2 workers ended"),
        # A hive that goes on keeps its workers.
        ([row("w1", "n")], [HiveGone("n", "left", 1)], "0 hives and 0 workers ended"),
        (
            [row("w1", "n"), row("w2", "m")],
            [HiveGone("n", "ended", 1), HiveGone("m", "killed", 1)],
            "2 hives and 2 workers ended",
        ),
    ],
)
def test_each_end_is_counted_once(
    workers: list[NodeWorkerRow], events: list[Any], words: str
) -> None:
    assert told(workers, *events) == words
