"""`rbee-keeper nodes`: what a person is shown of all nodes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rbee.contract import endpoints as ep
from rbee.contract.nodes import DeviceMemory, RunningDownload
from rbee.contract.overview import NodeOverview, Overview
from rbee.contract.workers import NodeWorkerRow

FakeQueen = Any
Keeper = Callable[..., Any]

WORKER = NodeWorkerRow("worker-1", "nas", "busy", "hf:o/r/m.gguf", "http://w", "cuda", 1, 4, 3)
NAS = NodeOverview(
    node="nas",
    state="running",
    facts_age_s=62.4,
    memory=[DeviceMemory("cuda", 1, "RTX", 12_000_000_000, 3_400_000_000)],
    disk_free_bytes=120_000_000_000,
    models=1,
    workers=[WORKER],
    downloads=[
        RunningDownload("hf:o/big.gguf", 4_000_000, 10_000_000),
        RunningDownload("hf:o/new.gguf", 2_000_000, 0),
    ],
)
OTHERS = [
    NodeOverview(node="attic", state="unreachable", error="attic does not answer:\nno route."),
    NodeOverview(node="shed", state="absent"),
    NodeOverview(node="den", state="running"),
    NodeOverview(node="loft", state="starting"),
]
SHOWN = """\
nas: running, told 62 s ago, 1 model on disk, 120.0 GB of disk free
  cuda:1  RTX, 3400 MB of 12.0 GB free
  hf:o/r/m.gguf  busy, 3 of 4 slots free, cuda:1  worker-1
  downloading hf:o/big.gguf, 40 % of 10 MB
  downloading hf:o/new.gguf, 2.0 MB
attic: unreachable, attic does not answer:\\x0ano route.
shed: no hive runs
den: running, it has not told its facts yet
loft: starting
"""


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        (0, ""),
        (1, "1 task waits for a slot: rbee-keeper queue list\n"),
        (2, "2 tasks wait for a slot: rbee-keeper queue list\n"),
    ],
)
def test_every_node_is_shown_with_what_goes_on_there(
    fake_queen: FakeQueen, keeper: Keeper, waiting: int, said: str
) -> None:
    fake_queen.on(ep.QUEEN_OVERVIEW, Overview([NAS, *OTHERS], waiting))
    assert keeper("nodes").stdout == SHOWN + said


def test_as_json_it_is_the_whole_reply(fake_queen: FakeQueen, keeper: Keeper) -> None:
    found = Overview([NAS, *OTHERS], 3)
    fake_queen.on(ep.QUEEN_OVERVIEW, found)
    assert json.loads(keeper("nodes", "--json").stdout) == msgspec.to_builtins(found)


def test_the_watch_ends_with_the_queen(fake_queen: FakeQueen, keeper: Keeper) -> None:
    """A pipe gets a block for each change, an empty line between them."""
    fake_queen.on(ep.QUEEN_OVERVIEW, [Overview([OTHERS[1]], 0), Overview([OTHERS[1]], 1)])
    done = keeper("nodes", "--watch")
    shed = "shed: no hive runs\n"
    assert done.stdout == f"{shed}\n{shed}1 task waits for a slot: rbee-keeper queue list\n"
    assert (done.exit_code, "The queen has ended." in done.stderr) == (1, True)
