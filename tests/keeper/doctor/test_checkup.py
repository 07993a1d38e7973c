"""`rbee-keeper doctor`, where something can't even be looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rbee.contract.config import Config, QueenSection
from rbee.contract.errors import StateNotWritable
from rbee.contract.nodes import Detected, DeviceMemory
from rbee.keeper.doctor import probe_daemons as probing
from rbee.keeper.doctor import probe_files as facts
from rbee.keeper.doctor import probe_programs as asking_programs

Keeper = Callable[..., Any]
ASK_PROGRAMS = asking_programs.programs
DETECTED = Detected(
    version="0.1.0",
    hardware=[DeviceMemory("cpu", 0, "RAM", 1 << 40, 1 << 40)],
    backends=["cpu"],
    devices={"cpu": 1},
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """No program is started to be asked, and no port of this machine's is looked at."""

    async def programs(_: object) -> list[object]:
        return []

    async def detected(_: object) -> Detected:
        return DETECTED

    monkeypatch.setattr(asking_programs, "programs", programs)
    monkeypatch.setattr(asking_programs, "detected", detected)
    monkeypatch.setenv("RBEE_QUEEN_HOST", "127.77.1.1")
    monkeypatch.setenv("RBEE_HIVE_HOST", "127.77.1.2")
    monkeypatch.setenv("RBEE_MODELS_DEFAULT", "hf:nobody/nothing")


def states(told: str) -> dict[str, str]:
    return {each["name"]: each["state"] for each in json.loads(told)["findings"]}


def test_all_is_well_in_a_home_that_has_nothing_yet(keeper: Keeper, home: Path) -> None:
    result = keeper("doctor", "--json")
    assert result.exit_code == 0, result.output
    assert set(states(result.stdout).values()) == {"ok"}
    assert not (home / ".rbee").exists()


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (RuntimeError("a fault of ours"), "warning", 0),
        (StateNotWritable(path="/x", reason="no"), "problem", 1),
    ],
)
@pytest.mark.parametrize(
    ("module", "name", "finding"),
    [
        (facts, "database", "catalog"),
        (facts, "models", "models folder"),
        (facts, "folder", "state folder"),
        (probing, "queen", "queen"),
        (probing, "workers", "worker ports"),
        (facts, "stale_pid_files", "pid files"),
    ],
)
def test_one_that_can_not_be_looked_at_keeps_none_of_the_others_from_it(
    keeper: Keeper,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    name: str,
    finding: str,
    error: Exception,
    state: str,
    code: int,
) -> None:
    def fail(*_: object) -> object:
        raise error

    monkeypatch.setattr(module, name, fail)
    result = keeper("doctor", "--json")
    found = states(result.stdout)
    assert found[finding] == state
    assert {"config", "programs", "API key", "hive", "nodes", "terminal"} <= found.keys()
    assert result.exit_code == code


@pytest.mark.parametrize("url", ["https://queen.home.arpa", "http://127.0.0.1:99999", "queen"])
def test_a_url_with_which_every_command_fails_is_a_problem(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("RBEE_QUEEN_URL", url)
    result = keeper("doctor", "--json")
    assert result.exit_code == 1
    [found] = [each for each in json.loads(result.stdout)["findings"] if each["name"] == "queen"]
    assert found["state"] == "problem"
    assert "is no address of a queen" in found["said"]
    assert found["advice"] == ["Write [queen] url as http://HOST:PORT."]


@pytest.mark.parametrize("host", ["256.1.1.1", "192.0.2.7"])
def test_a_hive_at_an_address_of_nobody_here_is_one_problem(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("RBEE_HIVE_HOST", host)
    document = json.loads(keeper("doctor", "--json").stdout)
    [found] = [each for each in document["findings"] if each["state"] == "problem"]
    assert found["name"] == "hive"
    assert "is no address of this machine" in found["said"]


def test_workers_at_an_address_of_nobody_here_are_a_problem(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RBEE_HIVE_WORKER_HOST", "192.0.2.7")
    assert states(keeper("doctor", "--json").stdout)["worker ports"] == "problem"


def test_a_config_file_that_can_not_be_read_is_one_problem(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RBEE_HIVE_PROT", "1")
    found = states(keeper("doctor", "--json").stdout)
    assert [name for name, state in found.items() if state == "problem"] == ["config"]
    assert found["backends"] == "warning"


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("queen-rbee, version 0.2.0", "0.2.0"),
        ("sleep (GNU coreutils) 9.1\nWritten by Jim Meyering.", None),
        ("rbee-hive, version 0.1.0", None),
        ("", None),
    ],
)
def test_a_version_is_that_of_the_program_itself(
    tmp_path: Path, said: str, version: str | None
) -> None:
    program = tmp_path / "p"
    program.write_text(f"#!/bin/sh\ncat <<'E'\n{said}\nE\n")
    program.chmod(0o755)
    config = Config(queen=QueenSection(command=str(program)))
    [_, queen, *_] = asyncio.run(ASK_PROGRAMS(config))
    assert queen.version == version
    assert (queen.error is None) is (version is not None)
