"""Installations on one node come one after the other, and are noted in the registry."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from rbee.contract.config import Config
from rbee.contract.events import Narration
from rbee.contract.registry import InstallNode, NodeRow
from rbee.queen.install import installation
from rbee.queen.install.installer import Installer
from rbee.queen.install.plan import Installation, Installed

ROW = NodeRow(node_name="workstation", ssh_host="workstation", status="unreachable", last_error="x")


class Lab:
    """One node. `most` is how many installations ran on it at once."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.wanted: list[Installation] = []
        self.put: list[NodeRow] = []

        async def may_use(*_: object) -> bool:
            return True

        async def put(row: NodeRow) -> None:
            self.put.append(row)

        registry = SimpleNamespace(find=lambda _: ROW, get=lambda _: ROW, put=put)
        hive = SimpleNamespace(use_host=self._host)
        nodes: Any = SimpleNamespace(registry=registry, hive=lambda _: hive, may_use=may_use)
        self.installer = Installer(nodes, Config())

    @contextlib.asynccontextmanager
    async def _host(self) -> AsyncIterator[object]:
        yield SimpleNamespace(remote=object())

    async def install(self, _: object, wanted: Installation, *more: object) -> Installed:
        self.wanted.append(wanted)
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.02)
        self.running -= 1
        return Installed("0.1.0", "/rbee", None)

    async def ask(self) -> list[str]:
        events = self.installer.start(InstallNode(node_name="workstation", wheel=True))
        return [each.text async for each in events if isinstance(each, Narration)]


async def test_a_second_installation_on_a_node_waits_for_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = Lab()
    monkeypatch.setattr(installation, "install", lab.install)
    told = await asyncio.gather(lab.ask(), lab.ask())
    assert (lab.most, len(lab.wanted)) == (1, 2)
    waits = "another installation on workstation is in progress: waiting for it"
    assert list(told) == [[], [waits]]
    assert [(row.status, row.last_error) for row in lab.put] == [("reachable", None)] * 2
    assert all(abs(time.time() - (row.last_connected_unix or 0)) < 60 for row in lab.put)
