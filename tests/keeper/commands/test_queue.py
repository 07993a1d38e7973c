"""`rbee-keeper queue …`: what the queen is asked, what is said where, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rbee.contract import endpoints as ep
from rbee.contract.queue import Decision, Decisions, TaskRow, TaskRows

FakeQueen = Any
Keeper = Callable[..., Any]


BELOW = "/v2/tasks/"


def row(request_id: str, **more: Any) -> TaskRow:
    fields: dict[str, Any] = {
        "state": "waiting",
        "key": "laptop",
        "model": "hf:o/r",
        "node": None,
        "worker_id": None,
        "position": 1,
        "since_unix": 1.0,
        "waited_s": 12.4,
        "reasons": ["all 4 slots are busy"],
    }
    return TaskRow(request_id=request_id, **{**fields, **more})


RUNS = row(
    "aa11", state="running", node="nas", worker_id="w-1", position=None, reasons=["its hive runs"]
)
WAITS, LAST = row("aa22"), row("bb33", key="phone", position=2)
PLACED = Decision(at_unix=1.0, request_id="aa11", key="k", model="m", outcome="placed", node="nas")


def canceled(fake_queen: FakeQueen) -> list[str]:
    return [path.removeprefix(BELOW) for path in fake_queen.paths() if path.startswith(BELOW)]


def test_those_that_run_are_listed_only_on_request(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_QUEUE, TaskRows([RUNS, WAITS, LAST]))
    heads, *rows = keeper("queue", "list").stdout.splitlines()
    assert heads.split() == ["ID", "KEY", "MODEL", "NODE", "STATE", "POSITION", "WAITED", "WHY"]
    assert rows == [
        "aa22  laptop  hf:o/r  -     waiting  1         12 s    all 4 slots are busy",
        "bb33  phone   hf:o/r  -     waiting  2         12 s    all 4 slots are busy",
    ]
    found = keeper("queue", "list", "--all", "--json")
    assert json.loads(found.stdout) == msgspec.to_builtins([RUNS, WAITS, LAST])
    assert "nas w-1" in keeper("queue", "list", "--all").stdout


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "No task waits. To see those that run: rbee-keeper queue list --all"),
        (["--all"], "No task runs or waits."),
    ],
)
def test_an_empty_queue_is_told(
    fake_queen: FakeQueen, keeper: Keeper, flags: list[str], said: str
) -> None:
    fake_queen.on(ep.QUEEN_QUEUE, TaskRows([]))
    done = keeper("queue", "list", *flags)
    assert (done.exit_code, done.stdout, said in done.stderr) == (0, "", True)
    assert json.loads(keeper("queue", "list", "--json", *flags).stdout) == []


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["bb"], ["bb33"]),
        (["aa22"], ["aa22"]),
        (["--key", "laptop"], ["aa22", "aa11"]),
        (["--all"], ["bb33", "aa22", "aa11"]),
    ],
)
def test_the_last_that_waits_is_canceled_first(
    fake_queen: FakeQueen, keeper: Keeper, words: list[str], ids: list[str]
) -> None:
    """So that none takes the slot of one that is canceled before it."""
    fake_queen.on(ep.QUEEN_QUEUE, TaskRows([RUNS, WAITS, LAST]))
    for task in (RUNS, WAITS, LAST):
        fake_queen.replies[BELOW + task.request_id] = [{}]
    done = keeper("queue", "cancel", *words)
    assert done.exit_code == 0
    assert canceled(fake_queen) == ids
    assert [line.split(" ")[0] for line in done.stdout.splitlines()] == ids[::-1]


@pytest.mark.parametrize(
    ("task", "said"), [("aa", "aa is the beginning of 2 ids"), ("cc", "There is no task cc")]
)
def test_what_is_not_one_task_is_not_canceled(
    fake_queen: FakeQueen, keeper: Keeper, task: str, said: str
) -> None:
    fake_queen.on(ep.QUEEN_QUEUE, TaskRows([RUNS, WAITS, LAST]))
    done = keeper("queue", "cancel", task)
    assert (done.exit_code, said in done.stderr) == (1, True)
    assert "rbee-keeper queue list --all" in done.stderr
    assert canceled(fake_queen) == []


@pytest.mark.parametrize("words", [[], ["aa22", "--all"], ["--key", "laptop", "--all"]])
def test_one_way_of_naming_tasks_is_enough(keeper: Keeper, words: list[str]) -> None:
    done = keeper("queue", "cancel", *words)
    assert done.exit_code == 2
    assert "Name one of ID, --key and --all." in done.stderr


def test_what_was_decided_is_told(fake_queen: FakeQueen, keeper: Keeper) -> None:
    other = msgspec.structs.replace(PLACED, request_id="bb")
    fake_queen.on(ep.QUEEN_DECISIONS, Decisions([other, PLACED]))
    assert json.loads(keeper("queue", "why", "aa", "--json").stdout) == msgspec.to_builtins(
        [PLACED]
    )
    assert "placed" in keeper("queue", "why", "aa11").stdout
    assert keeper("queue", "why", "cc").exit_code == 1
