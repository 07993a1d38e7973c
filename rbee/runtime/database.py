"""A SQLite file that several programs may open, and that may get damaged.

It is opened when it is first needed, migrated to the newest `user_version`, and kept in WAL mode. A
damaged file is moved aside, and a new one takes its place.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from rbee.contract.errors import ShuttingDown, StateNotWritable
from rbee.runtime.concurrency import finish, in_thread
from rbee.runtime.files import ensure, make_folder

if TYPE_CHECKING:
    import aiosqlite

T = TypeVar("T")

BUSY_MS = 5_000
_TURNS, _TURN_S = 50, 0.1
_log = logging.getLogger("rbee")


class Database:
    """One file. `migrations` bring it from one `user_version` to the next; `on_damage` is awaited
    after a damaged file was moved aside, with its new path. A lock may take `busy_ms`."""

    def __init__(
        self,
        path: Path,
        migrations: Sequence[str],
        on_damage: Callable[[Path], Awaitable[None]],
        busy_ms: int = BUSY_MS,
    ) -> None:
        self._path = path
        self._migrations = migrations
        self._on_damage = on_damage
        self._busy_ms = busy_ms
        self._opening = asyncio.Lock()
        self._connection: aiosqlite.Connection | None = None
        self._closed = False
        self._replaced = 0
        self._turn = asyncio.Lock()

    async def do(self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        """Do `work` on a healthy file: a damaged one is replaced first. A row that can't be read
        (msgspec.ValidationError) counts as damage. Raises STATE_NOT_WRITABLE."""
        for again in (True, False):
            seen = self._replaced
            try:
                async with self._turn:
                    return await self._whole(work, await self._open())
            except (sqlite3.DatabaseError, msgspec.ValidationError) as error:
                if not _is_damage(error):
                    raise self._unusable(error) from None
                if not again:
                    raise self._unusable(error) from None
                try:
                    await self._move_aside(error, seen)
                except OSError as why:
                    raise self._unusable(why) from None
            except OSError as error:
                raise self._unusable(error) from None
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Close for good: later calls get SHUTTING_DOWN."""
        self._closed = True
        async with self._opening:
            await self._disconnect()

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _open(self) -> aiosqlite.Connection:
        async with self._opening:
            if self._closed:
                raise ShuttingDown("The program is shutting down.")
            if self._connection is None:
                # Late: most commands need no database.
                import aiosqlite

                make_folder(self._path.parent)
                ensure(self._path)  # SQLite gives the files beside it the same mode
                await in_thread(_try_to_open, self._path)
                connection = await aiosqlite.connect(self._path)
                try:
                    await self._prepare_in_turn(connection)
                except BaseException:
                    await connection.close()
                    raise
                self._connection = connection
            return self._connection

    async def _prepare_in_turn(self, connection: aiosqlite.Connection) -> None:
        """Two programs that start at once lock each other out when both switch to WAL, and SQLite
        does not wait for that."""
        for _ in range(_TURNS):
            try:
                await self._prepare(connection)
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
            await connection.rollback()
            await asyncio.sleep(_TURN_S)
        await self._prepare(connection)

    async def _prepare(self, connection: aiosqlite.Connection) -> None:
        await connection.execute(f"PRAGMA busy_timeout = {self._busy_ms}")
        await connection.execute("PRAGMA journal_mode = WAL")
        # A power failure may cost the last row, which can be made again, but not the file.
        await connection.execute("PRAGMA synchronous = NORMAL")
        (checked,) = await connection.execute_fetchall("PRAGMA quick_check(1)")
        if checked[0] != "ok":
            raise sqlite3.DatabaseError(checked[0])
        ((version,),) = await connection.execute_fetchall("PRAGMA user_version")
        if version > len(self._migrations):
            reason = "it was made by a newer version of rbee; update this one"
            raise StateNotWritable(path=str(self._path), reason=reason)
        for number, change in enumerate(self._migrations[version:], start=version + 1):
            # In one transaction: two programs may start at once, and one of them may be killed.
            await connection.execute("BEGIN IMMEDIATE")
            ((now,),) = await connection.execute_fetchall("PRAGMA user_version")
            if now < number:
                await connection.execute(change)
                await connection.execute(f"PRAGMA user_version = {number}")
            await connection.commit()

    @staticmethod
    async def _whole(
        work: Callable[[aiosqlite.Connection], Awaitable[T]], connection: aiosqlite.Connection
    ) -> T:
        """All of `work` or nothing: an open transaction would lock out everybody else."""
        try:
            return await work(connection)
        except BaseException:
            await finish(connection.rollback())
            raise

    def _unusable(self, error: Exception) -> StateNotWritable:
        reason = getattr(error, "strerror", None) or str(error)
        return StateNotWritable(path=str(self._path), reason=reason)

    async def _move_aside(self, error: Exception, seen: int) -> None:
        async with self._opening:
            if self._replaced != seen:  # another caller found the same damage
                return
            self._replaced += 1
            await self._disconnect()
            kept = self._rename(error)
        await self._on_damage(kept)

    def _rename(self, error: Exception) -> Path:
        now = int(time.time())
        names = (f"{self._path.name}.damaged-{now + later}" for later in itertools.count())
        kept = next(path for name in names if not (path := self._path.with_name(name)).exists())
        self._path.rename(kept)
        for name in ("-wal", "-shm"):
            beside = self._path.with_name(self._path.name + name)
            if beside.exists():
                beside.rename(kept.with_name(kept.name + name))
        _log.error("%s is damaged (%s); it is kept as %s", self._path, error, kept)
        return kept


def _try_to_open(path: Path) -> None:
    """Raise what SQLite says of a path that it can't open. Where aiosqlite is the first to find
    out, its thread is not waited for, and may report to an event loop that has ended."""
    sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True).close()


def _is_damage(error: Exception) -> bool:
    """Damage that a restart would not fix: not a lock, a full disk or a bug of ours."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith("no such")  # a table or a column
    return type(error) in (sqlite3.DatabaseError, msgspec.ValidationError)
