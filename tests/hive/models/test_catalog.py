"""The catalog: a SQLite file that others may read, that may be damaged, and that may be lost."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import aiosqlite
import msgspec
import pytest

from rbee.contract.errors import ShuttingDown, StateNotWritable
from rbee.contract.models import ModelRow
from rbee.hive.models.catalog import Catalog
from rbee.runtime import database as module

ROW = ModelRow(
    id=None,
    provider="hf",
    reference="hf:owner/repo/m-Q8_0.gguf",
    local_path="/models/owner/repo/m-Q8_0.gguf",
    size_bytes=7_000_000_000,
    downloaded_at_unix=1_795_000_000,
    quantization="Q8_0",
    sha256="ab" * 32,
)

Open = Callable[[], Catalog]


def but(row: ModelRow, **changes: object) -> ModelRow:
    return msgspec.structs.replace(row, **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "models.db"


@pytest.fixture
def kept() -> list[Path]:
    """Where damaged files were put."""
    return []


@pytest.fixture
async def opened(path: Path, kept: list[Path]) -> AsyncIterator[Open]:
    """Open the catalog, once more each time."""
    async with AsyncExitStack() as stack:

        async def on_damage(where: Path) -> None:
            kept.append(where)

        def make() -> Catalog:
            catalog = Catalog(path, on_damage)
            stack.push_async_callback(catalog.close)
            return catalog

        yield make


def asked(path: Path, query: str) -> list[Any]:
    """What another program reads there."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def changed(path: Path, change: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)


async def test_a_new_catalog_is_empty(opened: Open) -> None:
    assert await opened().rows() == []


async def test_nothing_is_made_before_it_is_needed(opened: Open, path: Path) -> None:
    await opened().close()
    assert not path.parent.exists()


async def test_another_program_finds_the_columns_of_the_contract(opened: Open, path: Path) -> None:
    await opened().rows()
    columns = [name for _, name, *_ in asked(path, "PRAGMA table_info(models)")]
    assert columns == [
        "id",
        "provider",
        "reference",
        "local_path",
        "size_bytes",
        "downloaded_at_unix",
        "quantization",
        "sha256",
    ]
    assert asked(path, "PRAGMA journal_mode") == [("wal",)]
    assert asked(path, "PRAGMA user_version") == [(1,)]


async def test_another_program_reads_a_row_while_the_hive_runs(opened: Open, path: Path) -> None:
    await opened().put(ROW)
    assert asked(path, "SELECT * FROM models") == [
        (
            1,
            "hf",
            "hf:owner/repo/m-Q8_0.gguf",
            "/models/owner/repo/m-Q8_0.gguf",
            7_000_000_000,
            1_795_000_000,
            "Q8_0",
            "ab" * 32,
        )
    ]


async def test_a_row_comes_back_as_it_was_put(opened: Open) -> None:
    catalog = opened()
    await catalog.put(ROW)
    [row] = await catalog.rows()
    assert row == but(ROW, id=1, bytes_downloaded=ROW.size_bytes)


async def test_what_is_not_known_is_none(opened: Open) -> None:
    catalog = opened()
    await catalog.put(but(ROW, quantization=None, sha256=None))
    [row] = await catalog.rows()
    assert (row.quantization, row.sha256) == (None, None)


async def test_the_files_of_a_split_model_are_counted(opened: Open) -> None:
    catalog = opened()
    await catalog.put(but(ROW, local_path="/models/o/r/m-00001-of-00003.gguf"))
    [row] = await catalog.rows()
    assert row.files == 3


async def test_rows_come_in_the_order_of_their_references(opened: Open) -> None:
    catalog = opened()
    for reference in ("hf:b/b/m.gguf", "hf:a/a/m.gguf", "file:/m.gguf"):
        await catalog.put(but(ROW, reference=reference))
    found = [row.reference for row in await catalog.rows()]
    assert found == ["file:/m.gguf", "hf:a/a/m.gguf", "hf:b/b/m.gguf"]


async def test_a_row_that_is_put_again_keeps_its_id(opened: Open) -> None:
    catalog = opened()
    await catalog.put(but(ROW, reference="hf:a/a/m.gguf"))
    await catalog.put(ROW)
    new = but(ROW, provider="file", local_path="/x", size_bytes=1, sha256=None, quantization="Q2_K")
    await catalog.put(but(new, downloaded_at_unix=9))
    row = (await catalog.rows())[1]
    assert row == but(new, id=2, downloaded_at_unix=9, bytes_downloaded=1)


async def test_a_row_that_is_removed_is_gone(opened: Open) -> None:
    catalog = opened()
    await catalog.put(ROW)
    await catalog.put(but(ROW, reference="hf:a/a/m.gguf"))
    await catalog.remove(ROW.reference)
    assert [row.reference for row in await catalog.rows()] == ["hf:a/a/m.gguf"]
    await catalog.remove("hf:not/there/m.gguf")


async def test_it_survives_reopening(opened: Open) -> None:
    first = opened()
    await first.put(ROW)
    await first.close()
    with pytest.raises(ShuttingDown):  # opened again, nobody would close it
        await first.rows()
    assert [row.reference for row in await opened().rows()] == [ROW.reference]


async def test_it_survives_a_hive_that_never_closed_it(opened: Open) -> None:
    await opened().put(ROW)
    assert len(await opened().rows()) == 1


def garbage(path: Path) -> None:
    path.write_bytes(b"milk, bread\n" * 1000)


def short_garbage(path: Path) -> None:
    path.write_bytes(b"milk")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def beheaded(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:400] = b"\xff" * 300
    path.write_bytes(data)


def torn(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:5000] = b"\xff" * 904
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [garbage, short_garbage, truncated, beheaded, torn])
async def test_a_damaged_file_is_put_aside_whole_and_begun_afresh(
    opened: Open, path: Path, kept: list[Path], damage: Callable[[Path], None]
) -> None:
    catalog = opened()
    await catalog.put(ROW)
    await catalog.close()
    damage(path)
    was = path.read_bytes()
    assert await opened().rows() == []
    [where] = kept
    assert where.parent == path.parent
    assert where.name.startswith("models.db.damaged-")
    assert where.name.removeprefix("models.db.damaged-").isdigit()
    assert where.read_bytes() == was


async def test_the_work_is_done_on_the_new_file(opened: Open, path: Path, kept: list[Path]) -> None:
    path.parent.mkdir()
    garbage(path)
    catalog = opened()
    await catalog.put(ROW)
    assert [row.reference for row in await catalog.rows()] == [ROW.reference]
    assert len(kept) == 1


async def test_many_who_meet_one_damage_put_one_file_aside(
    opened: Open, path: Path, kept: list[Path]
) -> None:
    path.parent.mkdir()
    garbage(path)
    catalog = opened()
    await asyncio.gather(
        *(catalog.put(but(ROW, reference=f"hf:a/a/{number}.gguf")) for number in range(9))
    )
    assert len(await catalog.rows()) == 9
    assert len(kept) == 1


async def test_damage_that_is_met_while_it_is_open_is_mended_too(
    opened: Open, path: Path, kept: list[Path]
) -> None:
    first = opened()
    for number in range(40):
        await first.put(but(ROW, reference=f"hf:a/a/{number}-{'x' * 200}.gguf"))
    await first.close()
    catalog = opened()
    await (await catalog._database._open()).execute("PRAGMA shrink_memory")
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    assert await catalog.rows() == []
    assert len(kept) == 1


async def test_what_rebuilds_it_may_use_it(path: Path) -> None:
    path.parent.mkdir()
    garbage(path)

    async def rebuild(_: Path) -> None:
        await catalog.put(but(ROW, reference="hf:re/built/m.gguf"))

    catalog = Catalog(path, rebuild)
    try:
        assert [row.reference for row in await catalog.rows()] == ["hf:re/built/m.gguf"]
    finally:
        await catalog.close()


async def test_an_empty_file_is_a_new_catalog(opened: Open, path: Path, kept: list[Path]) -> None:
    path.parent.mkdir()
    path.touch()
    assert await opened().rows() == []
    assert kept == []


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(
    opened: Open, path: Path, kept: list[Path]
) -> None:
    catalog = opened()
    await catalog.put(ROW)
    await catalog.close()
    changed(path, "PRAGMA user_version = 2")
    with pytest.raises(StateNotWritable, match="newer version") as caught:
        await opened().rows()
    assert caught.value.details["path"] == str(path)
    assert kept == []
    assert asked(path, "SELECT count(*) FROM models") == [(1,)]


async def test_a_file_that_can_not_be_opened_is_told(opened: Open, path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StateNotWritable) as caught:
        await opened().rows()
    assert caught.value.details["path"] == str(path)
    assert path.is_dir()


async def test_two_hives_that_begin_at_once_share_one_catalog(
    opened: Open, path: Path, kept: list[Path]
) -> None:
    catalogs = [opened() for _ in range(6)]
    await asyncio.gather(
        *(
            catalog.put(but(ROW, reference=f"hf:a/a/{number}.gguf"))
            for number, catalog in enumerate(catalogs)
        )
    )
    assert kept == []
    for catalog in catalogs:
        assert len(await catalog.rows()) == 6


async def test_a_row_of_another_hive_is_seen(opened: Open) -> None:
    one, other = opened(), opened()
    assert await one.rows() == []
    await other.put(ROW)
    assert len(await one.rows()) == 1


async def test_what_is_known_is_not_overwritten_by_what_was_found(opened: Open) -> None:
    catalog = opened()
    await catalog.put(ROW)
    await catalog.add(but(ROW, sha256=None), but(ROW, reference="hf:o/r/n.gguf", sha256=None))
    assert [row.sha256 for row in await catalog.rows()] == [None, ROW.sha256]


async def test_a_write_that_is_canceled_locks_nobody_out(
    opened: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, other = opened(), opened()
    await catalog.put(ROW)
    await other.rows()

    async def never(_: object) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(aiosqlite.Connection, "commit", never)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(catalog.put(but(ROW, size_bytes=1)), 0.2)
    await other.put(but(ROW, size_bytes=2))
    assert asked(path, "SELECT size_bytes FROM models") == [(2,)]
    assert [row.size_bytes for row in await catalog.rows()] == [2]


async def test_a_write_that_is_refused_leaves_nothing_behind(
    opened: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_MS", 50)
    catalog = opened()
    await catalog.put(ROW)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateNotWritable, match="locked"):
            await catalog.put(but(ROW, size_bytes=1))
        connection.execute("UPDATE models SET size_bytes = 3")
        connection.execute("COMMIT")
    assert [row.size_bytes for row in await catalog.rows()] == [3]
    await catalog.put(but(ROW, size_bytes=4))
    assert asked(path, "SELECT size_bytes FROM models") == [(4,)]
