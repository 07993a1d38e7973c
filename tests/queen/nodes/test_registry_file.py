"""The registry's file: what other programs read there, and what becomes of a damaged one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rbee.contract.errors import StateNotWritable
from rbee.contract.registry import NodeRow
from rbee.queen.nodes.registry import RegistryFile

FULL = NodeRow(
    node_name="workstation",
    ssh_host="workstation.home.arpa",
    ssh_port=2222,
    ssh_user="marie",
    ssh_key_path="/home/marie/.ssh/lab",
    git_repo_url="https://example.org/rbee.git",
    git_branch="next",
    install_path="~/rbee it's",
    last_connected_unix=1_795_000_000,
    last_error="it was off",
    status="unreachable",
    backends=["cuda", "cpu"],
    devices={"cuda": 2, "cpu": 1},
    hive_port=9300,
    hive_url="http://10.0.0.2:9300",
    api_key_file="/keys/workstation",
    tunnel=True,
    mac="3c:7c:3f:12:ab:9e",
    wake=False,
    wake_address="192.168.1.255:7",
)
BARE = NodeRow(node_name="attic", ssh_host="attic")

Open = Callable[[], RegistryFile]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "beehives.db"


@pytest.fixture
def kept() -> list[Path]:
    return []


@pytest.fixture
async def opened(path: Path, kept: list[Path]) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def on_damage(where: Path) -> None:
            kept.append(where)

        def make() -> RegistryFile:
            registry = RegistryFile(path, on_damage)
            stack.push_async_callback(registry.close)
            return registry

        yield make


def asked(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]


def change(path: Path, text: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(text)


async def test_to_look_into_it_makes_no_file(opened: Open, path: Path) -> None:
    assert await opened().rows() == []
    assert not path.parent.exists()


async def test_another_program_reads_the_columns_of_the_contract(opened: Open, path: Path) -> None:
    await opened().put(FULL)
    (row,) = asked(path, "SELECT * FROM beehives")
    assert row.pop("backends") == '["cuda","cpu"]'
    assert json.loads(row.pop("devices")) == {"cuda": 2, "cpu": 1}
    expected = msgspec.to_builtins(FULL)
    for structured in ("backends", "devices"):
        del expected[structured]
    assert row == {**expected, "tunnel": 1, "wake": 0}
    assert list(asked(path, "SELECT * FROM beehives")[0]) == [
        "node_name", "ssh_host", "ssh_port", "ssh_user", "ssh_key_path", "git_repo_url",
        "git_branch", "install_path", "last_connected_unix", "last_error", "status", "backends",
        "devices", "hive_port", "hive_url", "api_key_file", "tunnel", "mac", "wake", "wake_address",
    ]  # fmt: skip
    assert asked(path, "PRAGMA user_version") == [{"user_version": 4}]
    assert asked(path, "PRAGMA journal_mode") == [{"journal_mode": "wal"}]


async def test_what_another_program_leaves_out_has_its_default(opened: Open, path: Path) -> None:
    await opened().put(BARE)
    change(path, "INSERT INTO beehives (node_name, ssh_host) VALUES ('cellar', 'cellar')")
    rows = {row.node_name: row for row in await opened().rows()}
    assert rows["cellar"] == NodeRow(node_name="cellar", ssh_host="cellar", ssh_port=22)


async def test_the_file_of_an_older_rbee_is_kept(opened: Open, path: Path) -> None:
    """It knew nothing of sleeping nodes."""
    await opened().put(BARE)
    for column in ("mac", "wake", "wake_address"):
        change(path, f"ALTER TABLE beehives DROP COLUMN {column}")
    change(path, "PRAGMA user_version = 1")
    assert await opened().rows() == [BARE]
    assert asked(path, "PRAGMA user_version") == [{"user_version": 4}]


async def test_what_was_put_is_read_by_name(opened: Open) -> None:
    registry = opened()
    await registry.put(FULL, BARE)
    assert await registry.rows() == [BARE, FULL]
    assert await opened().rows() == [BARE, FULL]


async def test_a_row_of_the_same_name_is_replaced(opened: Open) -> None:
    registry = opened()
    await registry.put(FULL)
    bare = NodeRow(node_name="workstation", hive_url="http://10.0.0.3:9200")
    await registry.put(bare)
    assert await registry.rows() == [bare]


async def test_a_row_is_removed(opened: Open) -> None:
    registry = opened()
    await registry.put(FULL, BARE)
    await registry.remove("workstation")
    await registry.remove("nobody")
    assert await opened().rows() == [BARE]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no database" * 1000),
        lambda path: change(path, "DROP TABLE beehives"),
        lambda path: change(path, "UPDATE beehives SET backends = '{'"),
        lambda path: change(path, "UPDATE beehives SET status = 'asleep'"),
    ],
)
async def test_a_damaged_file_is_put_aside(
    opened: Open, path: Path, kept: list[Path], damage: Callable[[Path], None]
) -> None:
    first = opened()
    await first.put(FULL)
    await first.close()
    damage(path)
    registry = opened()
    assert await registry.rows() == []
    await registry.put(BARE)
    assert await registry.rows() == [BARE]
    assert [file.name.startswith("beehives.db.damaged-") for file in kept] == [True]
    assert kept[0].exists()


async def test_a_newer_file_is_refused_and_left_as_it_is(
    opened: Open, path: Path, kept: list[Path]
) -> None:
    await opened().put(FULL)
    change(path, "PRAGMA user_version = 99")
    with pytest.raises(StateNotWritable, match="a newer version of rbee"):
        await opened().rows()
    assert kept == []
    assert len(asked(path, "SELECT * FROM beehives")) == 1


async def test_a_folder_that_can_not_be_made_is_told(opened: Open, path: Path) -> None:
    path.parent.write_text("a file")
    with pytest.raises(StateNotWritable):
        await opened().put(FULL)
