"""The catalog: a SQLite file that others may read. What becomes of a damaged one is tested with
`runtime.database`."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rbee.contract.errors import ShuttingDown
from rbee.contract.models import ModelRow
from rbee.hive.models.catalog import Catalog

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
async def opened(path: Path) -> AsyncIterator[Open]:
    """Open the catalog, once more each time."""
    async with AsyncExitStack() as stack:

        async def on_damage(kept: Path) -> None:
            raise AssertionError(f"damaged, and kept as {kept}")

        def make() -> Catalog:
            catalog = Catalog(path, on_damage)
            stack.push_async_callback(catalog.close)
            return catalog

        yield make


def asked(path: Path, query: str) -> list[Any]:
    """What another program reads there."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


async def test_a_new_catalog_is_empty(opened: Open) -> None:
    assert await opened().rows() == []


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
