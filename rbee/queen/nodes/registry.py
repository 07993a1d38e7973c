"""What is known of the nodes: the rows of the registry, overridden by the config file. The registry
is a SQLite file that other programs may read, `~/.rbee/beehives.db`. One writer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from rbee.runtime.database import Database

if TYPE_CHECKING:
    import aiosqlite

_MIGRATIONS = (
    """
    CREATE TABLE beehives (
        node_name TEXT PRIMARY KEY,
        ssh_host TEXT,
        ssh_port INTEGER DEFAULT 22,
        ssh_user TEXT,
        ssh_key_path TEXT,
        git_repo_url TEXT,
        git_branch TEXT NOT NULL DEFAULT 'main',
        install_path TEXT,
        last_connected_unix INTEGER,
        last_error TEXT,
        status TEXT NOT NULL DEFAULT 'unknown',
        backends TEXT,
        devices TEXT,
        hive_port INTEGER NOT NULL DEFAULT 9200,
        hive_url TEXT,
        api_key_file TEXT,
        tunnel INTEGER NOT NULL DEFAULT 0
    )
    """,
    "ALTER TABLE beehives ADD COLUMN mac TEXT",
    "ALTER TABLE beehives ADD COLUMN wake INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE beehives ADD COLUMN wake_address TEXT NOT NULL DEFAULT '255.255.255.255'",
)
_COLUMNS = NodeRow.__struct_fields__
# Kept as JSON.
_STRUCTURED = ("backends", "devices")
# SQLite has them as numbers.
_FLAGS = ("tunnel", "wake")
# After any other error, the machine has answered.
_AWAY = ConnectionTimeout, PortBlocked, SshConnectionFailed
_log = logging.getLogger("queen-rbee")


class Registry:
    """Rows in memory, each change written through. `open` reads them once."""

    def __init__(
        self, path: Path, configured: Callable[[], Mapping[str, Mapping[str, Any]]]
    ) -> None:
        """`configured` reads the sections [nodes.NAME] of the config file, each time again."""
        self._file = RegistryFile(path, self._damaged)
        self._configured = configured
        self._rows: dict[str, NodeRow] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Read everything. Raises STATE_NOT_WRITABLE and CONFIG_INVALID."""
        self._rows = {row.node_name: row for row in await self._file.rows()}
        await self.reload()

    async def reload(self) -> list[str]:
        """Let the config file override what is known; the names of the nodes that it changed."""
        changed = []
        for name, given in self._configured().items():
            known = self._rows.get(name) or NodeRow(node_name=name)
            row = msgspec.structs.replace(known, **given)
            if name != LOCAL and row != self._rows.get(name):
                # What was true of the old settings need not be true of the new ones.
                row = msgspec.structs.replace(row, status="unknown", last_error=None)
                self._rows[name] = row
                changed.append(name)
        if changed:
            await self._file.put(*(self._rows[name] for name in changed))
        return changed

    def rows(self) -> list[NodeRow]:
        """Every node but this machine, by name."""
        return [self._rows[name] for name in sorted(self._rows)]

    def get(self, name: str) -> NodeRow | None:
        return self._rows.get(name)

    def find(self, name: str) -> NodeRow:
        """By its name, else by its host if only one has it. Raises NODE_NOT_FOUND."""
        if name in self._rows:
            return self._rows[name]
        hosts = [row for row in self._rows.values() if row.ssh_host == name]
        if len(hosts) != 1:
            raise NodeNotFound(node=name)
        return hosts[0]

    async def put(self, row: NodeRow) -> None:
        # In memory first, so that what `record_contact` writes meanwhile is of the new row.
        before = self._rows.get(row.node_name)
        self._rows[row.node_name] = row
        try:
            await self._file.put(row)
        except BaseException:
            self._restore(row.node_name, before)
            raise

    async def remove(self, name: str) -> None:
        before = self._rows.pop(name, None)
        try:
            await self._file.remove(name)
        except BaseException:
            self._restore(name, before)
            raise

    def configured(self, name: str) -> Mapping[str, Any]:
        """What the config file says of it, which counts again at the next start."""
        return self._configured().get(name, {})

    def record_contact(self, name: str, outcome: NodeInfo | RbeeError | None) -> None:
        """Note how the last contact went; None if the node answered and its hive was not asked. It
        is written in the background."""
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
        """Wait for what is still to be written, and close the file."""
        if self._writing:
            await asyncio.wait(self._writing)
        await self._file.close()

    def _restore(self, name: str, row: NodeRow | None) -> None:
        if row is None:
            self._rows.pop(name, None)
        else:
            self._rows[name] = row

    async def _write(self, name: str) -> None:
        try:
            if name in self._rows:
                await self._file.put(self._rows[name])
        except RbeeError as error:
            _log.warning("%s", error)

    async def _damaged(self, kept: Path) -> None:
        """Fill the new file with what is in memory."""
        if self._rows:
            await self._file.put(*self._rows.values())


class RegistryFile:
    """The SQLite file, opened when it is first needed. `on_damage` is awaited after a damaged file
    was moved aside, with its new path."""

    def __init__(self, path: Path, on_damage: Callable[[Path], Awaitable[None]]) -> None:
        self._path = path
        self._database = Database(path, _MIGRATIONS, on_damage)

    async def rows(self) -> list[NodeRow]:
        """Every row, by name. Does not create the file."""
        if not self._path.exists():
            return []

        async def work(connection: aiosqlite.Connection) -> list[NodeRow]:
            query = f"SELECT {', '.join(_COLUMNS)} FROM beehives ORDER BY node_name"
            return [_row(tuple(values)) for values in await connection.execute_fetchall(query)]

        return await self._database.do(work)

    async def put(self, *rows: NodeRow) -> None:
        """Insert rows, or replace those of the same name; all or none."""
        values = [_values(row) for row in rows]
        places = ", ".join("?" * len(_COLUMNS))

        async def work(connection: aiosqlite.Connection) -> None:
            await connection.executemany(
                f"INSERT OR REPLACE INTO beehives ({', '.join(_COLUMNS)}) VALUES ({places})",
                values,
            )
            await connection.commit()

        await self._database.do(work)

    async def remove(self, node_name: str) -> None:
        async def work(connection: aiosqlite.Connection) -> None:
            await connection.execute("DELETE FROM beehives WHERE node_name = ?", [node_name])
            await connection.commit()

        await self._database.do(work)

    async def close(self) -> None:
        await self._database.close()


def _values(row: NodeRow) -> tuple[object, ...]:
    values = msgspec.structs.asdict(row)
    for name in _STRUCTURED:
        if values[name] is not None:
            values[name] = msgspec.json.encode(values[name]).decode()
    return tuple(values[name] for name in _COLUMNS)


def _row(values: tuple[object, ...]) -> NodeRow:
    found = dict(zip(_COLUMNS, values, strict=True))
    for name in _STRUCTURED:
        if isinstance(written := found[name], str):
            found[name] = _decoded(written)
    flags = {name: bool(found[name]) for name in _FLAGS}
    return msgspec.convert({**found, **flags}, NodeRow)


def _decoded(written: str) -> object:
    try:
        return msgspec.json.decode(written)
    except msgspec.DecodeError as error:
        raise msgspec.ValidationError(str(error)) from None
