"""`rbee-keeper logs` and `detect`: what is asked and shown."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from rbee.contract import endpoints as ep
from rbee.contract.errors import ProgramFailed
from rbee.contract.events import Narration
from rbee.contract.logs import LogLine
from rbee.contract.registry import HiveStatus, HiveStatuses

FakeQueen = Any
Keeper = Callable[..., Any]

LINES = [
    LogLine("rbee-hive", "listening on | 9200", "workstation", 1.0),
    Narration("queen-rbee", "no hive runs now", "c", "📜"),
    LogLine("worker-1", "", "workstation", 2.0),
]


def test_each_line_says_who_wrote_it(lady: FakeQueen, keeper: Keeper) -> None:
    lady.on(ep.QUEEN_LOGS, LINES)
    done = keeper("logs", "--node", "workstation")
    assert (done.exit_code, done.stdout) == (
        0,
        "rbee-hive | listening on | 9200\nworker-1 | \n",
    )
    assert done.stderr == "[queen-rbee] 📜 no hive runs now\n"
    assert lady.asked[-1][1] == {"node": "workstation", "follow": "false", "lines": "100"}


def test_control_characters_do_not_reach_the_terminal(lady: FakeQueen, keeper: Keeper) -> None:
    lady.on(ep.QUEEN_LOGS, [LogLine("worker-1", "a\tb\x1b[2J\x07\x9bc ü", "workstation")])
    done = keeper("logs", "--node", "workstation")
    assert done.stdout == "worker-1 | a\tb\\x1b[2J\\x07\\x9bc ü\n"


def test_of_all_nodes_it_says_which_one(lady: FakeQueen, keeper: Keeper) -> None:
    lady.on(ep.QUEEN_LOGS, LINES)
    done = keeper("logs", "--lines", "2", "--quiet")
    assert done.stdout.startswith("workstation/rbee-hive | listening")
    assert done.stderr == ""
    assert lady.asked[-1][1] == {"follow": "false", "lines": "2"}


def test_for_programs_every_event_is_a_line(lady: FakeQueen, keeper: Keeper) -> None:
    lady.on(ep.QUEEN_LOGS, LINES)
    done = keeper("logs", "--json", "--quiet")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["event"] for each in found] == ["log", "narration", "log"]
    assert found[0]["data"] == {
        "source": "rbee-hive",
        "line": "listening on | 9200",
        "node": "workstation",
        "at": 1.0,
    }


def test_a_log_that_is_followed_has_no_end_that_would_be_a_success(
    lady: FakeQueen, keeper: Keeper
) -> None:
    lady.on(ep.QUEEN_LOGS, LINES)
    done = keeper("logs", "--follow")
    assert done.exit_code == 1
    assert "Error [SHUTTING_DOWN]: The queen has ended" in done.stderr
    assert lady.asked[-1][1]["follow"] == "true"


def test_where_nobody_can_tell_it_says_what_to_do(lady: FakeQueen, keeper: Keeper) -> None:
    error = ProgramFailed("No hive runs.", program="rbee-hive", reason="none", hint="Start one.")
    lady.on(ep.QUEEN_LOGS, [error.envelope()])
    done = keeper("logs")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error [PROGRAM_FAILED]: No hive runs.\n→ Start one.\n")


@pytest.mark.parametrize("lines", ["-1", "10001", "many"])
def test_a_number_of_lines_that_can_not_be(lady: FakeQueen, keeper: Keeper, lines: str) -> None:
    assert keeper("logs", "--lines", lines).exit_code == 2
    assert lady.paths() == []


class ReplacedError(Exception):
    """This process would be another program now."""


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_of_this_machine_its_own_rbee_hive_tells(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    called: list[list[str]] = []

    def execvp(_: str, words: list[str]) -> None:
        called.append(words)
        raise ReplacedError

    monkeypatch.setattr(os, "execvp", execvp)
    keeper("detect", *flags)
    assert called[0][0].endswith("rbee-hive")
    assert called[0][1:] == ["detect", *flags]


def test_a_program_that_is_not_there_is_an_error(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RBEE_HIVE_COMMAND", "/nowhere/rbee-hive")
    done = keeper("detect")
    assert done.exit_code == 1
    assert "/nowhere/rbee-hive did not start: No such file" in done.stderr


def test_a_node_is_asked_by_its_hive_which_is_started_for_it(
    lady: FakeQueen, keeper: Keeper
) -> None:
    stopped = HiveStatus(node="workstation", state="stopped")
    running = HiveStatus(
        node="workstation",
        state="running",
        version="0.1.0",
        backends=["cuda", "cpu"],
        devices={"cuda": 2, "cpu": 1},
        ram_total_bytes=32_000_000_000,
        ram_free_bytes=16_000_000_000,
    )
    lady.on(ep.QUEEN_HIVES, HiveStatuses([stopped]), HiveStatuses([running]))
    lady.on(ep.QUEEN_HIVE_START, [Narration("queen-rbee", "starting", "c")])
    done = keeper("detect", "--node", "workstation")
    assert done.exit_code == 0
    assert done.stdout == (
        "node: workstation\n"
        "rbee: 0.1.0\n"
        "backends, the best first: cuda, cpu\n"
        "devices: cuda 2, cpu 1\n"
        "memory: 16.0 GB of 32.0 GB are free\n"
    )
    assert lady.body(ep.QUEEN_HIVE_START) == {"node": "workstation"}
