"""`rbee-keeper logs` and `detect`: what is asked and shown."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from rbee.contract import endpoints as ep
from rbee.contract.errors import NodeNotFound, ProgramFailed
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


def test_each_line_names_its_source(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_LOGS, LINES)
    done = keeper("logs", "--node", "workstation")
    assert (done.exit_code, done.stdout) == (
        0,
        "rbee-hive | listening on | 9200\nworker-1 | \n",
    )
    assert done.stderr == "[queen-rbee] 📜 no hive runs now\n"
    assert fake_queen.asked[-1][1] == {"node": "workstation", "follow": "false", "lines": "100"}


def test_control_characters_do_not_reach_the_terminal(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_LOGS, [LogLine("worker-1", "a\tb\x1b[2J\x07\x9bc ü", "workstation")])
    done = keeper("logs", "--node", "workstation")
    assert done.stdout == "worker-1 | a\tb\\x1b[2J\\x07\\x9bc ü\n"


def test_logs_of_all_nodes_name_the_node(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_LOGS, LINES)
    done = keeper("logs", "--lines", "2", "--quiet")
    assert done.stdout.startswith("workstation/rbee-hive | listening")
    assert done.stderr == ""
    assert fake_queen.asked[-1][1] == {"follow": "false", "lines": "2"}


def test_in_json_every_event_is_a_line(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_LOGS, LINES)
    done = keeper("logs", "--json", "--quiet")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["event"] for each in found] == ["log", "narration", "log"]
    assert found[0]["data"] == {
        "source": "rbee-hive",
        "line": "listening on | 9200",
        "node": "workstation",
        "at": 1.0,
    }


def test_the_end_of_a_followed_log_is_an_error(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_LOGS, LINES)
    done = keeper("logs", "--follow")
    assert done.exit_code == 1
    assert "Error [SHUTTING_DOWN]: The queen has ended" in done.stderr
    assert fake_queen.asked[-1][1]["follow"] == "true"


def test_without_a_hive_the_error_says_what_to_do(fake_queen: FakeQueen, keeper: Keeper) -> None:
    error = ProgramFailed("No hive runs.", program="rbee-hive", reason="none", hint="Start one.")
    fake_queen.on(ep.QUEEN_LOGS, [error.envelope()])
    done = keeper("logs")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error [PROGRAM_FAILED]: No hive runs.\n→ Start one.\n")


@pytest.mark.parametrize("lines", ["-1", "10001", "many"])
def test_an_invalid_number_of_lines_is_wrong_usage(
    fake_queen: FakeQueen, keeper: Keeper, lines: str
) -> None:
    assert keeper("logs", "--lines", lines).exit_code == 2
    assert fake_queen.paths() == []


class ReplacedError(Exception):
    """This process would be another program now."""


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_this_machine_is_described_by_its_own_rbee_hive(
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


def test_a_missing_program_is_an_error(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RBEE_HIVE_COMMAND", "/nowhere/rbee-hive")
    done = keeper("detect")
    assert done.exit_code == 1
    assert "/nowhere/rbee-hive did not start: No such file" in done.stderr


def test_the_hive_of_a_node_is_started_to_describe_it(
    fake_queen: FakeQueen, keeper: Keeper
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
    fake_queen.on(ep.QUEEN_HIVES, HiveStatuses([stopped]), HiveStatuses([running]))
    fake_queen.on(ep.QUEEN_HIVE_START, [Narration("queen-rbee", "starting", "c")])
    done = keeper("detect", "--node", "workstation")
    assert done.exit_code == 0
    assert done.stdout == (
        "node: workstation\n"
        "rbee: 0.1.0\n"
        "backends, the best first: cuda, cpu\n"
        "devices: cuda 2, cpu 1\n"
        "memory: 16.0 GB of 32.0 GB are free\n"
    )
    assert fake_queen.body(ep.QUEEN_HIVE_START) == {"node": "workstation"}


def test_the_logs_of_an_unknown_node_say_which_are_known(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(ep.QUEEN_LOGS, NodeNotFound(node="attic"))
    done = keeper("logs", "--node", "attic")
    assert (done.exit_code, "add-node" in done.stderr) == (1, False)
    assert "rbee-keeper setup list-nodes" in done.stderr
