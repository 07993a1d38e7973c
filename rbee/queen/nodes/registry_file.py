"""The registry of nodes: a SQLite file that other programs may read, `~/.rbee/beehives.db`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rbee.contract.registry import NodeRow
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
)
_COLUMNS = tuple(field.name for field in msgspec.structs.fields(NodeRow))
# Kept as JSON.
_STRUCTURED = ("backends", "devices")


class RegistryFile:
    """Opened when it is first needed. `on_damage` is awaited after a damaged file was put aside,
    with the path under which it is kept."""

    def __init__(self, path: Path, on_damage: Callable[[Path], Awaitable[None]]) -> None:
        self._path = path
        self._database = Database(path, _MIGRATIONS, on_damage)

    async def rows(self) -> list[NodeRow]:
        """Every row, by name. No file is made where there is none."""
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
    return msgspec.convert({**found, "tunnel": bool(found["tunnel"])}, NodeRow)


def _decoded(written: str) -> object:
    try:
        return msgspec.json.decode(written)
    except msgspec.DecodeError as error:
        raise msgspec.ValidationError(str(error)) from None
