"""The attacker sees what a program does wrong: each way of misbehaving has its fault.

The stand-in is a real process at a real port; one that behaves holds.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.attack import exchange
from harness.attack.fuzz import fuzz
from harness.attack.scene import Scene
from harness.attack.verdict import Bounds, Measured, Result, judge
from harness.model_files.cache import ModelFiles
from harness.world.commands import Commands
from harness.world.evidence import Evidence
from harness.world.waiting import wait_until
from harness.world.world import World

Stand = Callable[[str], Scene]
_PROGRAM = Path(__file__).with_name("stand_in.py")
_REQUESTS = 60


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[Stand]:
    """Starts a stand-in that plays queen, hive and worker."""
    models = ModelFiles()
    world = World(Commands({}), models, Evidence(tmp_path, "stand-in"))
    world.ensure_key()
    logs = world.home / ".rbee" / "logs"
    logs.mkdir()

    def start(way: str) -> Scene:
        scene = Scene(world)
        host, port = world.network.address(7), 8080
        words = [str(_PROGRAM), way, host, str(port), world.key, str(logs / "a.log")]
        run = world.start("python3", more=words)
        address = host, port
        wait_until("the stand-in to listen", lambda: _listens(address), 10)
        scene.addresses = dict.fromkeys(("queen", "hive", "worker"), address)
        scene.watch({"queen": run.pid})
        return scene

    try:
        yield start
    finally:
        world.kill_all()
        world.end(judge=False)
        models.close()


def _listens(address: tuple[str, int]) -> bool:
    with socket.create_connection(address):
        return True


def fuzzed(scene: Scene, requests: int = _REQUESTS, bounds: Bounds | None = None) -> Result:
    """What is found out about it."""
    scene.begin()
    fuzz(scene, seed=1, requests=requests, until=time.monotonic() + 60)
    limits = bounds or Bounds()
    measured = scene.measured(limits.growth_mb)
    return judge("fuzzer", scene.answers, measured, scene.secrets, limits, scene.faults)


def test_a_program_that_behaves_holds(stand_in: Stand) -> None:
    result = fuzzed(stand_in("behaves"))
    assert result.held, result.faults
    assert result.requests >= _REQUESTS
    assert result.by_kind["4xx"] > _REQUESTS / 2
    assert sum(result.by_kind.values()) == result.requests


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("html", "500 without the envelope"),
        ("bug", "500 INTERNAL"),
        ("shows", "a key is in the answer"),
        ("drives", "has control characters: [27]"),
        ("ends", "the queen has ended"),
    ],
)
def test_a_fault_is_found(stand_in: Stand, way: str, said: str) -> None:
    result = fuzzed(stand_in(way), requests=20)
    assert not result.held
    assert any(said in fault for fault in result.faults), result.faults


def test_memory_that_grows_is_found(stand_in: Stand) -> None:
    result = fuzzed(stand_in("grows"))
    assert any("memory has grown by" in fault for fault in result.faults), result
    assert result.measured.growth_mb > Bounds().growth_mb


def test_a_log_that_grows_is_found(stand_in: Stand) -> None:
    result = fuzzed(stand_in("writes"))
    assert any("the logs have grown by" in fault for fault in result.faults), result.faults


def test_an_answer_that_does_not_come_is_found(stand_in: Stand) -> None:
    scene = stand_in("hangs")
    began = time.monotonic()
    answer = scene.send("queen", "GET", "/metrics", within=0.3)
    assert (answer.status, answer.kind) == (-1, "none")
    assert time.monotonic() - began < 3
    result = judge("one", [answer], Measured(), [])
    assert result.faults == [f"{answer.to}: no answer within {exchange.LIMIT_S:g} s"]


def test_the_same_seed_draws_the_same_requests(stand_in: Stand) -> None:
    from harness.attack.fuzz import drawn

    scene = stand_in("behaves")
    first, again, other = (
        [shape.content for _, shape in drawn(seed, 200, scene)] for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other
    assert len(set(first)) > 150
