"""A SQLite file of ours: migrated, shared between programs, and replaced if it is damaged."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from rbee.contract.errors import ShuttingDown, StateNotWritable
from rbee.runtime.database import Database

MIGRATIONS = ("CREATE TABLE notes (id INTEGER PRIMARY KEY, words TEXT NOT NULL)",)
NEWER = (*MIGRATIONS, "ALTER TABLE notes ADD COLUMN author TEXT")

Open = Callable[..., Database]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "notes.db"


@pytest.fixture
def kept() -> list[Path]:
    """Where damaged files were moved."""
    return []


@pytest.fixture
async def opened(path: Path, kept: list[Path]) -> AsyncIterator[Open]:
    """Another Database on the same file each time."""
    async with AsyncExitStack() as stack:

        async def on_damage(where: Path) -> None:
            kept.append(where)

        def make(migrations: tuple[str, ...] = MIGRATIONS, busy_ms: int = 5_000) -> Database:
            database = Database(path, migrations, on_damage, busy_ms)
            stack.push_async_callback(database.close)
            return database

        yield make


async def add(database: Database, *words: str) -> None:
    async def work(connection: aiosqlite.Connection) -> None:
        for each in words:
            await connection.execute("INSERT INTO notes (words) VALUES (?)", (each,))
        await connection.commit()

    await database.do(work)


async def read(database: Database) -> list[str]:
    async def work(connection: aiosqlite.Connection) -> list[str]:
        rows = await connection.execute_fetchall("SELECT words FROM notes ORDER BY id")
        return [row[0] for row in rows]

    return await database.do(work)


def asked(path: Path, query: str) -> list[Any]:
    """What another program reads there."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


async def test_no_file_is_made_before_it_is_needed(opened: Open, path: Path) -> None:
    database = opened()
    assert not path.exists()
    assert await read(database) == []
    assert path.exists()


async def test_another_program_reads_what_was_committed(opened: Open, path: Path) -> None:
    await add(opened(), "milk")
    assert asked(path, "SELECT words FROM notes") == [("milk",)]


async def test_a_file_is_migrated_once_and_keeps_its_rows(opened: Open, path: Path) -> None:
    await add(opened(), "milk")
    assert await read(opened(NEWER)) == ["milk"]
    assert asked(path, "SELECT author FROM notes") == [(None,)]
    assert asked(path, "PRAGMA user_version") == [(2,)]


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(
    opened: Open, path: Path, kept: list[Path]
) -> None:
    await add(opened(NEWER), "milk")
    with pytest.raises(StateNotWritable, match="newer version") as caught:
        await read(opened())
    assert caught.value.details["path"] == str(path)
    assert kept == []
    assert asked(path, "SELECT words FROM notes") == [("milk",)]


async def test_a_path_that_can_not_be_opened_is_named(opened: Open, path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StateNotWritable) as caught:
        await read(opened())
    assert caught.value.details["path"] == str(path)
    assert path.is_dir()


def test_a_program_that_ends_because_of_such_a_path_prints_no_traceback(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event loop may end before a thread of aiosqlite reports to it."""
    path.mkdir(parents=True)
    raised: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)

    async def program() -> None:
        async def on_damage(_: Path) -> None:
            raise AssertionError("a folder is not damaged")

        with pytest.raises(StateNotWritable):
            await read(Database(path, MIGRATIONS, on_damage))

    before = set(threading.enumerate())
    for _ in range(50):
        asyncio.run(program())
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert [each for each in raised if each.thread not in before] == []


async def test_a_closed_database_says_that_the_program_is_shutting_down(opened: Open) -> None:
    database = opened()
    await add(database, "milk")
    await database.close()
    with pytest.raises(ShuttingDown):
        await read(database)


def garbage(path: Path) -> None:
    path.write_bytes(b"milk, bread\n" * 1000)


def short_garbage(path: Path) -> None:
    path.write_bytes(b"milk")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def broken_header(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:400] = b"\xff" * 300
    path.write_bytes(data)


def broken_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:5000] = b"\xff" * 904
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [garbage, short_garbage, truncated, broken_header, broken_page])
async def test_a_damaged_file_is_kept_whole_and_a_new_one_takes_its_place(
    opened: Open, path: Path, kept: list[Path], damage: Callable[[Path], None]
) -> None:
    database = opened()
    await add(database, "milk")
    await database.close()
    damage(path)
    was = path.read_bytes()
    assert await read(opened()) == []
    [where] = kept
    assert where.parent == path.parent
    assert where.name.startswith("notes.db.damaged-")
    assert where.name.removeprefix("notes.db.damaged-").isdigit()
    assert where.read_bytes() == was


async def test_the_work_is_done_on_the_new_file(opened: Open, path: Path, kept: list[Path]) -> None:
    path.parent.mkdir()
    garbage(path)
    database = opened()
    await add(database, "milk")
    assert await read(database) == ["milk"]
    assert len(kept) == 1


async def test_many_callers_that_find_the_same_damage_move_one_file(
    opened: Open, path: Path, kept: list[Path]
) -> None:
    path.parent.mkdir()
    garbage(path)
    database = opened()
    await asyncio.gather(*(add(database, f"note {number}") for number in range(9)))
    assert len(await read(database)) == 9
    assert len(kept) == 1


async def test_damage_to_an_open_file_is_noticed(
    opened: Open, path: Path, kept: list[Path]
) -> None:
    first = opened()
    await add(first, *(f"{number} {'x' * 200}" for number in range(400)))
    await first.close()
    database = opened()

    async def forget(connection: aiosqlite.Connection) -> None:
        await connection.execute("PRAGMA shrink_memory")

    await database.do(forget)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    assert await read(database) == []
    assert len(kept) == 1


async def test_an_empty_file_is_not_damaged(opened: Open, path: Path, kept: list[Path]) -> None:
    path.parent.mkdir()
    path.touch()
    assert await read(opened()) == []
    assert kept == []


async def test_on_damage_may_use_the_new_file(path: Path) -> None:
    path.parent.mkdir()
    garbage(path)

    async def rebuild(_: Path) -> None:
        await add(database, "found again")

    database = Database(path, MIGRATIONS, rebuild)
    try:
        assert await read(database) == ["found again"]
    finally:
        await database.close()


async def test_programs_that_start_at_once_share_one_file(opened: Open, kept: list[Path]) -> None:
    databases = [opened() for _ in range(6)]
    await asyncio.gather(*(add(each, f"note {turn}") for turn, each in enumerate(databases)))
    assert kept == []
    for database in databases:
        assert len(await read(database)) == 6


async def test_work_that_is_canceled_locks_nobody_out(opened: Open, path: Path) -> None:
    database, other = opened(), opened()
    await add(database, "milk")
    assert await read(other) == ["milk"]

    async def hang(connection: aiosqlite.Connection) -> None:
        await connection.execute("UPDATE notes SET words = 'lost'")
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(database.do(hang), 0.2)
    await add(other, "bread")
    assert asked(path, "SELECT words FROM notes") == [("milk",), ("bread",)]
    assert await read(database) == ["milk", "bread"]


async def test_work_that_is_refused_leaves_no_lock_behind(opened: Open, path: Path) -> None:
    database = opened(busy_ms=50)
    await add(database, "milk")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateNotWritable, match="locked"):
            await add(database, "lost")
        connection.execute("UPDATE notes SET words = 'bread'")
        connection.execute("COMMIT")
    assert await read(database) == ["bread"]
    await add(database, "eggs")
    assert asked(path, "SELECT words FROM notes") == [("bread",), ("eggs",)]
