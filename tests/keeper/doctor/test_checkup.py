"""The doctor's checkup, also when something can't even be looked at."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.world.network import Network
from rbee.contract import endpoints as ep
from rbee.contract.config import Config, QueenSection
from rbee.contract.daemons import QueenStatus
from rbee.contract.errors import StateNotWritable
from rbee.contract.nodes import Detected, DeviceMemory
from rbee.contract.workers import NodeWorkerRows
from rbee.keeper.doctor import probe_daemons
from rbee.keeper.doctor.check_daemons import Daemon
from rbee.keeper.doctor.check_programs import Program
from rbee.keeper.doctor.checkup import Checkup, Probes
from rbee.keeper.doctor.findings import Finding, Report
from rbee.keeper.doctor.probe_programs import programs
from rbee.keeper.settings import of
from rbee.runtime import api_key
from rbee.runtime import settings as configuration
from tests.keeper.conftest import FakeQueen

DETECTED = Detected(
    version="0.1.0",
    hardware=[DeviceMemory("cpu", 0, "RAM", 1 << 40, 1 << 40)],
    backends=["cpu"],
    devices={"cpu": 1},
)


async def no_programs(_: Config) -> Sequence[Program]:
    return []


async def one_cpu(_: Config) -> Detected:
    return DETECTED


# No program is started to be asked.
PROBES = Probes(programs=no_programs, detect=one_cpu)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[None]:
    """No port is looked at that this machine, or a test beside this one, may use."""
    network = Network()
    monkeypatch.setenv("RBEE_QUEEN_HOST", network.address(1))
    monkeypatch.setenv("RBEE_HIVE_HOST", network.address(2))
    monkeypatch.setenv("RBEE_MODELS_DEFAULT", "hf:nobody/nothing")
    yield
    network.release()


def examined(probes: Probes = PROBES) -> list[Finding]:
    return asyncio.run(Checkup(probes).run())


def states(found: Sequence[Finding]) -> dict[str, str]:
    return {each.name: each.state for each in found}


def test_all_is_well_in_a_home_that_has_nothing_yet(home: Path) -> None:
    found = examined()
    assert set(states(found).values()) == {"ok"}, Report.of(found).text()
    assert not (home / ".rbee").exists()


@pytest.mark.parametrize(
    ("error", "state", "problems"),
    [
        (RuntimeError("a fault of ours"), "warning", 0),
        (StateNotWritable(path="/x", reason="no"), "problem", 1),
    ],
)
@pytest.mark.parametrize(
    ("probe", "finding"),
    [
        ("database", "catalog"),
        ("models", "models folder"),
        ("folder", "state folder"),
        ("queen", "queen"),
        ("worker_port", "worker ports"),
        ("stale_pid_files", "pid files"),
    ],
)
def test_a_check_that_fails_does_not_prevent_the_others(
    probe: str, finding: str, error: Exception, state: str, problems: int
) -> None:
    def fail(*_: object) -> object:
        raise error

    changed: dict[str, Any] = {probe: fail}
    found = examined(dataclasses.replace(PROBES, **changed))
    assert states(found)[finding] == state
    expected = {"config", "programs", "API key", "hive", "nodes", "terminal"}
    assert expected <= states(found).keys()
    assert bool(Report.of(found).problems) is bool(problems)


@pytest.mark.parametrize("url", ["ftp://queen.home.arpa", "http://127.0.0.1:99999", "queen"])
def test_a_url_with_which_every_command_fails_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("RBEE_QUEEN_URL", url)
    [found] = [each for each in examined() if each.name == "queen"]
    assert found.state == "problem"
    assert "is not an address of a queen" in found.said
    assert found.advice == ["Write [queen] url as https://HOST:PORT or http://HOST:PORT."]


@pytest.mark.parametrize("host", ["256.1.1.1", "192.0.2.7"])
def test_a_hive_at_an_address_of_another_machine_is_one_problem(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("RBEE_HIVE_HOST", host)
    [found] = [each for each in examined() if each.state == "problem"]
    assert found.name == "hive"
    assert "is not an address of this machine" in found.said


def test_workers_at_an_address_of_another_machine_are_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RBEE_HIVE_WORKER_HOST", "192.0.2.7")
    assert states(examined())["worker ports"] == "problem"


def test_a_config_file_that_can_not_be_read_is_one_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def free(*_: object) -> Daemon:
        return Daemon(url="http://127.0.0.1:8080", state="free")

    # With the defaults it would look at the ports of daemons that may run on this machine.
    monkeypatch.setenv("RBEE_HIVE_PROT", "1")
    found = states(examined(dataclasses.replace(PROBES, queen=free, hive=free)))
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
    [_, queen, *_] = asyncio.run(programs(config))
    assert queen.version == version
    assert (queen.error is None) is (version is not None)


@pytest.mark.parametrize(("status", "stalled"), [("ok", False), ("stalled", True)])
def test_a_queen_that_decides_nothing_is_found(
    fake_queen: FakeQueen, status: QueenStatus, stalled: bool
) -> None:
    fake_queen.status = status
    fake_queen.on(ep.QUEEN_WORKERS, NodeWorkerRows([]))
    settings = of(configuration.load())
    found = asyncio.run(probe_daemons.queen(settings, api_key.load(None)))
    assert (found.state, found.refuses_key, found.is_stalled) == ("runs", False, stalled)
