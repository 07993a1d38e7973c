"""The catalog of models: a SQLite file that other programs may read, and that may be lost.

It records what a file does not say of itself: its hash, and when it came. A damaged catalog is put
aside and rebuilt from the files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rbee.contract.models import ModelRow
from rbee.gguf import split
from rbee.runtime.database import Database

if TYPE_CHECKING:
    import aiosqlite

# Each migrates the file from one `user_version` to the next.
_MIGRATIONS = (
    """
    CREATE TABLE models (
        id INTEGER PRIMARY KEY,
        provider TEXT NOT NULL,
        reference TEXT NOT NULL UNIQUE,
        local_path TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        downloaded_at_unix INTEGER NOT NULL,
        quantization TEXT,
        sha256 TEXT
    )
    """,
)
_COLUMNS = (
    "id, provider, reference, local_path, size_bytes, downloaded_at_unix, quantization, sha256"
)


class Catalog:
    """Opened on first use. `on_damage` is awaited after a damaged file was put aside, with the path
    that it has now."""

    def __init__(self, path: Path, on_damage: Callable[[Path], Awaitable[None]]) -> None:
        self._database = Database(path, _MIGRATIONS, on_damage)

    async def rows(self) -> list[ModelRow]:
        """Every row, ordered by reference."""

        async def work(connection: aiosqlite.Connection) -> list[ModelRow]:
            query = f"SELECT {_COLUMNS} FROM models ORDER BY reference"
            return [_row(values) for values in await connection.execute_fetchall(query)]

        return await self._database.do(work)

    async def put(self, *rows: ModelRow) -> None:
        """Insert rows, or replace those of the same reference but keep their ids; all or none."""
        names = _COLUMNS.removeprefix("id, ").split(", ")
        await self._insert(rows, "UPDATE SET " + ", ".join(f"{n} = excluded.{n}" for n in names))

    async def add(self, *rows: ModelRow) -> None:
        """Insert the rows whose reference is new; the catalog knows more about the others."""
        await self._insert(rows, "NOTHING")

    async def _insert(self, rows: Sequence[ModelRow], on_conflict: str) -> None:
        values = [
            (
                row.provider,
                row.reference,
                row.local_path,
                row.size_bytes,
                row.downloaded_at_unix,
                row.quantization,
                row.sha256,
            )
            for row in rows
        ]
        names = _COLUMNS.removeprefix("id, ")

        async def work(connection: aiosqlite.Connection) -> None:
            await connection.executemany(
                f"INSERT INTO models ({names}) VALUES (?, ?, ?, ?, ?, ?, ?) "
                f"ON CONFLICT (reference) DO {on_conflict}",
                values,
            )
            await connection.commit()

        await self._database.do(work)

    async def remove(self, reference: str) -> None:
        async def work(connection: aiosqlite.Connection) -> None:
            await connection.execute("DELETE FROM models WHERE reference = ?", [reference])
            await connection.commit()

        await self._database.do(work)

    async def close(self) -> None:
        await self._database.close()


def _row(values: sqlite3.Row | tuple[object, ...]) -> ModelRow:
    names = _COLUMNS.split(", ")
    row = msgspec.convert(dict(zip(names, values, strict=True)), ModelRow)
    return msgspec.structs.replace(
        row, files=len(split.parts(row.local_path)), bytes_downloaded=row.size_bytes
    )
