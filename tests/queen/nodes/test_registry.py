"""What is known of the nodes: the config file over the registry, and what contacts teach."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import msgspec
import pytest

from rbee.contract.errors import ConnectionTimeout, NodeNotFound, StateNotWritable
from rbee.contract.nodes import NodeInfo
from rbee.contract.registry import NodeRow
from rbee.queen.nodes.registry import Registry, RegistryFile

WORKSTATION = NodeRow(node_name="workstation", ssh_host="w.home.arpa", last_connected_unix=5)
ATTIC = NodeRow(node_name="attic", ssh_host="a.home.arpa")
INFO = NodeInfo(["cuda", "cpu"], {"cuda": 1, "cpu": 1}, [], 2, 1, 3, "running", None)
AWAY = ConnectionTimeout("it is off", host="h", port=22, attempts=3)

Open = Callable[[], Awaitable[Registry]]


@pytest.fixture
def configured() -> dict[str, dict[str, object]]:
    """The config file's [nodes.NAME]."""
    return {}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "beehives.db"


@pytest.fixture
async def opened(path: Path, configured: dict[str, dict[str, object]]) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def make() -> Registry:
            registry = Registry(path, lambda: configured)
            stack.push_async_callback(registry.close)
            await registry.open()
            return registry

        yield make


async def stored(path: Path) -> dict[str, NodeRow]:
    async def never(_: Path) -> None:
        raise AssertionError

    file = RegistryFile(path, never)
    rows = await file.rows()
    await file.close()
    return {row.node_name: row for row in rows}


async def test_it_begins_empty_and_makes_no_file(opened: Open, path: Path) -> None:
    assert (await opened()).rows() == []
    assert not path.exists()


async def test_rows_last_and_are_told_by_name(opened: Open) -> None:
    registry = await opened()
    await registry.put(WORKSTATION)
    await registry.put(ATTIC)
    assert registry.rows() == [ATTIC, WORKSTATION]
    assert (await opened()).rows() == [ATTIC, WORKSTATION]


async def test_the_config_file_goes_over_the_rows_and_keeps_what_was_learned(
    opened: Open, configured: dict[str, dict[str, object]], path: Path
) -> None:
    registry = await opened()
    await registry.put(msgspec.structs.replace(WORKSTATION, ssh_user="marie", backends=["cpu"]))
    configured["workstation"] = {"ssh_host": "w2", "hive_port": 9300}
    configured["cellar"] = {"hive_url": "http://c:9200"}
    assert sorted(await registry.reload()) == ["cellar", "workstation"]
    expected = NodeRow(
        node_name="workstation",
        ssh_host="w2",
        ssh_user="marie",  # of which the file says nothing
        hive_port=9300,
        last_connected_unix=5,
        backends=["cpu"],
    )
    assert registry.find("workstation") == expected
    assert registry.find("cellar") == NodeRow(node_name="cellar", hive_url="http://c:9200")
    assert (await stored(path))["workstation"] == expected
    assert await registry.reload() == []


async def test_the_config_file_counts_from_the_start(
    opened: Open, configured: dict[str, dict[str, object]]
) -> None:
    configured["cellar"] = {"ssh_host": "c"}
    assert [row.node_name for row in (await opened()).rows()] == ["cellar"]


async def test_this_machine_is_no_row(
    opened: Open, configured: dict[str, dict[str, object]]
) -> None:
    configured["localhost"] = {"ssh_host": "127.0.0.1"}
    registry = await opened()
    assert registry.rows() == []
    assert await registry.reload() == []


async def test_whether_the_config_file_names_it_is_asked_afresh(
    opened: Open, configured: dict[str, dict[str, object]]
) -> None:
    registry = await opened()
    await registry.put(WORKSTATION)
    assert not registry.configured("workstation")
    configured["workstation"] = {"ssh_host": "w"}
    assert registry.configured("workstation")


async def test_a_node_is_found_by_its_name_and_by_its_host(opened: Open) -> None:
    registry = await opened()
    await registry.put(WORKSTATION)
    await registry.put(NodeRow(node_name="w.home.arpa.backup", ssh_host="attic"))
    await registry.put(ATTIC)
    assert registry.find("w.home.arpa") == WORKSTATION
    assert registry.find("attic") == ATTIC  # a name goes before another's host


async def test_a_host_that_two_nodes_share_names_neither(opened: Open) -> None:
    registry = await opened()
    await registry.put(WORKSTATION)
    await registry.put(msgspec.structs.replace(WORKSTATION, node_name="other"))
    for name in ("w.home.arpa", "nobody"):
        with pytest.raises(NodeNotFound) as caught:
            registry.find(name)
        assert caught.value.details["node"] == name


async def test_a_removed_node_does_not_come_back(opened: Open) -> None:
    registry = await opened()
    await registry.put(WORKSTATION)
    await registry.remove("workstation")
    assert registry.rows() == []
    assert (await opened()).rows() == []


async def test_a_contact_is_noted_and_written_behind(opened: Open, path: Path) -> None:
    registry = await opened()
    await registry.put(msgspec.structs.replace(WORKSTATION, last_error="it was off"))
    registry.record_contact("workstation", INFO)
    row = registry.find("workstation")
    assert (row.status, row.last_error) == ("reachable", None)
    assert (row.backends, row.devices) == (INFO.backends, INFO.devices)
    assert abs(time.time() - (row.last_connected_unix or 0)) < 60
    await registry.close()
    assert (await stored(path))["workstation"] == row


async def test_a_failed_contact_keeps_what_was_known(opened: Open, path: Path) -> None:
    registry = await opened()
    await registry.put(msgspec.structs.replace(WORKSTATION, backends=["cuda"]))
    registry.record_contact("workstation", AWAY)
    registry.record_contact("nobody", AWAY)
    row = registry.find("workstation")
    assert row == msgspec.structs.replace(
        WORKSTATION, backends=["cuda"], status="unreachable", last_error="it is off"
    )
    await registry.close()
    assert await stored(path) == {"workstation": row}


async def test_a_contact_with_a_node_that_is_being_removed_does_not_bring_it_back(
    opened: Open, path: Path
) -> None:
    registry = await opened()
    await registry.put(WORKSTATION)
    removing = asyncio.create_task(registry.remove("workstation"))
    await asyncio.sleep(0)
    registry.record_contact("workstation", INFO)
    await removing
    await registry.close()
    assert await stored(path) == {}


async def test_a_contact_with_a_node_that_is_being_changed_does_not_undo_it(
    opened: Open, path: Path
) -> None:
    registry = await opened()
    await registry.put(WORKSTATION)
    changed = msgspec.structs.replace(WORKSTATION, ssh_host="new")
    changing = asyncio.create_task(registry.put(changed))
    await asyncio.sleep(0)
    registry.record_contact("workstation", AWAY)
    await changing
    await registry.close()
    assert (await stored(path))["workstation"].ssh_host == "new"
    assert registry.find("workstation").ssh_host == "new"


async def test_what_can_not_be_stored_is_not_known(
    configured: dict[str, dict[str, object]], path: Path
) -> None:
    path.mkdir()
    registry = Registry(path, lambda: configured)
    with pytest.raises(StateNotWritable):
        await registry.put(WORKSTATION)
    assert registry.rows() == []
    configured["workstation"] = {"ssh_host": WORKSTATION.ssh_host}
    with pytest.raises(StateNotWritable):
        await registry.reload()
    (known,) = registry.rows()
    for act in (registry.remove("workstation"), registry.put(ATTIC)):
        with pytest.raises(StateNotWritable):
            await act
    assert registry.rows() == [known]
    registry.record_contact("workstation", INFO)  # nobody waits for it: only the log tells
    await registry.close()


async def test_a_registry_that_is_damaged_meanwhile_is_begun_anew_from_memory(
    opened: Open, path: Path
) -> None:
    registry = await opened()
    await registry.put(WORKSTATION)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("DROP TABLE beehives")
    await registry.put(ATTIC)
    await registry.close()
    assert sorted(await stored(path)) == ["attic", "workstation"]
    assert len(list(path.parent.glob("beehives.db.damaged-*"))) == 1
