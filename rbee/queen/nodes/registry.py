"""What is known of the nodes: the registry's rows, with the config file's over them. One writer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from rbee.contract.errors import (
    ConnectionTimeout,
    NodeNotFound,
    PortBlocked,
    RbeeError,
    ShuttingDown,
    SshConnectionFailed,
)
from rbee.contract.nodes import NodeInfo
from rbee.contract.registry import LOCAL, NodeRow, NodeStatus
from rbee.queen.nodes.registry_file import RegistryFile

# Whatever else goes wrong, somebody answered.
_AWAY = ConnectionTimeout, PortBlocked, SshConnectionFailed
_log = logging.getLogger("queen-rbee")


class Registry:
    """Rows in memory, each change written through. `open` reads them once."""

    def __init__(
        self, path: Path, configured: Callable[[], Mapping[str, Mapping[str, Any]]]
    ) -> None:
        """`configured` reads the sections [nodes.NAME] of the config file afresh."""
        self._registry = RegistryFile(path, self._damaged)
        self._configured = configured
        self._rows: dict[str, NodeRow] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Read everything. Raises STATE_NOT_WRITABLE and CONFIG_INVALID."""
        self._rows = {row.node_name: row for row in await self._registry.rows()}
        await self.reload()

    async def reload(self) -> list[str]:
        """Put what the config file says of nodes over what is known; the names that it changed."""
        changed = []
        for name, given in self._configured().items():
            known = self._rows.get(name) or NodeRow(node_name=name)
            row = msgspec.structs.replace(known, **given)
            if name != LOCAL and row != self._rows.get(name):
                # What was true of the old way there need not be of the new one.
                row = msgspec.structs.replace(row, status="unknown", last_error=None)
                self._rows[name] = row
                changed.append(name)
        if changed:
            await self._registry.put(*(self._rows[name] for name in changed))
        return changed

    def rows(self) -> list[NodeRow]:
        """Every node but this machine, by name."""
        return [self._rows[name] for name in sorted(self._rows)]

    def get(self, name: str) -> NodeRow | None:
        return self._rows.get(name)

    def find(self, name: str) -> NodeRow:
        """By its name, else by the only host of that name. Raises NODE_NOT_FOUND."""
        if name in self._rows:
            return self._rows[name]
        hosts = [row for row in self._rows.values() if row.ssh_host == name]
        if len(hosts) != 1:
            raise NodeNotFound(node=name)
        return hosts[0]

    async def put(self, row: NodeRow) -> None:
        # In memory first: what `record_contact` writes behind meanwhile is of the new row.
        before = self._rows.get(row.node_name)
        self._rows[row.node_name] = row
        try:
            await self._registry.put(row)
        except BaseException:
            self._restore(row.node_name, before)
            raise

    async def remove(self, name: str) -> None:
        before = self._rows.pop(name, None)
        try:
            await self._registry.remove(name)
        except BaseException:
            self._restore(name, before)
            raise

    def configured(self, name: str) -> Mapping[str, Any]:
        """What the config file says of it, which counts again at the next start."""
        return self._configured().get(name, {})

    def record_contact(self, name: str, outcome: NodeInfo | RbeeError | None) -> None:
        """Note how the last contact went; None: the node was there, its hive was not asked. Written
        behind: nobody waits for it."""
        row = self._rows.get(name)
        if row is None or isinstance(outcome, ShuttingDown):
            return
        replace = msgspec.structs.replace
        if isinstance(outcome, RbeeError):
            status: NodeStatus = "unreachable" if isinstance(outcome, _AWAY) else "reachable"
            row = replace(row, status=status, last_error=outcome.message)
        else:
            now = int(time.time())
            row = replace(row, status="reachable", last_connected_unix=now, last_error=None)
            if outcome is not None:
                row = replace(row, backends=outcome.backends, devices=outcome.devices)
        self._rows[name] = row
        task = asyncio.create_task(self._write(name))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        if self._writing:
            await asyncio.wait(self._writing)
        await self._registry.close()

    def _restore(self, name: str, row: NodeRow | None) -> None:
        if row is None:
            self._rows.pop(name, None)
        else:
            self._rows[name] = row

    async def _write(self, name: str) -> None:
        try:
            if name in self._rows:
                await self._registry.put(self._rows[name])
        except RbeeError as error:
            _log.warning("%s", error)

    async def _damaged(self, kept: Path) -> None:
        """Begin anew with what is in memory."""
        if self._rows:
            await self._registry.put(*self._rows.values())
