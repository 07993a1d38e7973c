"""Hives that can be bent, as the tests of the nodes have them, and nodes that are known."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rbee.contract.config import Config
from rbee.contract.registry import NodeRow
from rbee.queen.nodes.local_hive import LocalHive
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.registry import Registry
from rbee.runtime.broadcast import Broadcast
from tests.queen.nodes.conftest import fake_hive as fake_hive
from tests.queen.nodes.conftest import url_node as url_node


def histories(count: int) -> int:
    """How many are drawn: `HISTORIES=10000 pytest --timeout 0 tests/queen/tasks` draws more."""
    return int(os.environ.get("HISTORIES", count))


@pytest.fixture
async def this_machine(tmp_path: Path) -> AsyncIterator[Nodes]:
    """No node is known but this one."""
    registry = Registry(tmp_path / "b.db", dict)
    await registry.open()
    nodes = Nodes(Config(), "key", Broadcast(), registry, LocalHive(Config()))
    yield nodes
    await nodes.close()
    await registry.close()


@pytest.fixture
async def three_nodes(this_machine: Nodes, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    """And a, b and c, of which all is known already."""

    async def discovered(*_: object, **__: object) -> None:
        """Nobody is asked."""

    for name in "abc":
        row = NodeRow(node_name=name, hive_url="http://127.0.0.1:1")
        await this_machine.registry.put(row)
    monkeypatch.setattr(this_machine, "discover", discovered)
    return this_machine
