"""A node joins, is told of anew, or leaves: tested before it is stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rbee.contract.config import Config, TimesSection
from rbee.contract.errors import (
    ConnectionTimeout,
    InvalidApiKey,
    InvalidRequest,
    NodeNotFound,
    SshConnectionFailed,
)
from rbee.contract.nodes import Detected
from rbee.contract.registry import AddNode, HiveStatus, NodeRow
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.local_hive import LocalHive
from rbee.queen.nodes.membership import Membership
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.registry import Registry
from rbee.runtime.broadcast import Broadcast
from tests.queen.conftest import NAME, trust
from tests.queen.sshd import Sshd, until

from .conftest import Start

DETECTED = Detected(version="0.9.1", hardware=[], backends=["cuda", "cpu"], devices={"cuda": 1})


class SlowRegistry(Registry):
    """`on_put` is called when a row is about to be stored, and again when it is."""

    on_put: Callable[[], object] = staticmethod(lambda: None)

    async def put(self, row: NodeRow) -> None:
        self.on_put()
        await super().put(row)
        self.on_put()


class Lab:
    def __init__(self, path: Path) -> None:
        self.configured: dict[str, dict[str, object]] = {}
        self.registry = SlowRegistry(path, lambda: self.configured)
        config = Config(times=TimesSection(connect_s=2))
        self.nodes = Nodes(config, "key", Broadcast(), self.registry, LocalHive(config))
        self.membership = Membership(self.nodes, config)
        self.opened: list[Hive] = []

    def open(self, name: str = NAME) -> Hive:
        """The queen's end of a hive there."""
        self.opened.append(self.nodes.hive(name))
        return self.opened[-1]

    @property
    def ended(self) -> list[str]:
        """Of which of them the queen let go."""
        return [hive.node for hive in self.opened if hive.state == "draining"]

    def rows(self) -> list[NodeRow]:
        return self.registry.rows()


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with AsyncExitStack() as stack:
        made = Lab(tmp_path / "beehives.db")
        stack.push_async_callback(made.registry.close)
        stack.push_async_callback(made.nodes.close)
        await made.registry.open()
        yield made


def asked(sshd: Sshd, **more: Any) -> AddNode:
    host = {"ssh_host": "127.0.0.1", "ssh_port": sshd.port}
    return AddNode(**{"node_name": NAME, **host, **more})


@pytest.fixture
def known(sshd: Sshd, home: Path) -> Sshd:
    trust(home, f"[127.0.0.1]:{sshd.port}", sshd.host_key)
    return sshd


async def test_a_node_without_rbee_is_stored_with_what_is_missing(lab: Lab, known: Sshd) -> None:
    added = await lab.membership.add(asked(known, install_path="~/rbee it's", tunnel=True))
    assert (added.success, added.node_name) == (True, NAME)
    install = f"rbee-keeper setup install --node {NAME} --wheel"
    assert added.message == f"{NAME} is added. rbee is not installed there yet: {install}"
    assert (added.installed, added.detected) == (None, None)
    (row,) = lab.rows()
    assert abs(time.time() - (row.last_connected_unix or 0)) < 60
    assert msgspec.structs.replace(row, last_connected_unix=None) == NodeRow(
        node_name=NAME,
        ssh_host="127.0.0.1",
        ssh_port=known.port,
        install_path="~/rbee it's",
        tunnel=True,
        status="reachable",
    )
    await until(known.connections[0].is_closed)


async def test_what_its_rbee_tells_is_stored(lab: Lab, known: Sshd) -> None:
    told = msgspec.json.encode(DETECTED).decode()
    script = f'#!/bin/sh\necho noise\necho "{{"\necho \'{told}\'\n[ "$*" = "detect --json" ]'
    known.write("rbee/.venv/bin/rbee-hive", script)
    added = await lab.membership.add(asked(known, install_path="~/rbee"))
    assert added.message == f"{NAME} is added, with rbee 0.9.1."
    assert (added.installed, added.detected) == ("0.9.1", DETECTED)
    (row,) = lab.rows()
    assert (row.backends, row.devices) == (["cuda", "cpu"], {"cuda": 1})


async def test_a_node_whose_key_is_not_known_is_not_stored(lab: Lab, sshd: Sshd) -> None:
    await lab.registry.put(NodeRow(node_name="other", ssh_host="o"))
    with pytest.raises(SshConnectionFailed) as caught:
        await lab.membership.add(asked(sshd))
    assert caught.value.status == 400
    assert caught.value.details["fingerprint"] == sshd.fingerprint
    assert caught.value.details["key_type"] == "ssh-ed25519"
    assert [row.node_name for row in lab.rows()] == ["other"]
    await lab.membership.add(asked(sshd, accept_host_key=sshd.fingerprint))
    assert len(lab.rows()) == 2


async def test_a_node_that_does_not_answer_is_tried_once_and_not_stored(
    lab: Lab, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, tried = asyncio.get_running_loop(), []
    connect = loop.create_connection

    def counted(*args: Any, **more: Any) -> Any:
        tried.append(args)
        return connect(*args, **more)

    monkeypatch.setattr(loop, "create_connection", counted)
    with pytest.raises(SshConnectionFailed) as caught:
        await lab.membership.add(asked(sshd, ssh_port=1))
    assert len(tried) == 1
    assert caught.value.status == 400
    assert caught.value.details == {
        "host": "127.0.0.1",
        "port": 1,
        "reason": "refused",
        "command": "ssh -p 1 127.0.0.1",
    }
    assert lab.rows() == []


async def test_what_fails_changes_nothing_of_what_was_there(lab: Lab, known: Sshd) -> None:
    await lab.membership.add(asked(known, git_branch="old"))
    before = lab.rows()
    lab.open()
    with pytest.raises(SshConnectionFailed):
        await lab.membership.add(asked(known, ssh_port=1, git_branch="new"))
    assert lab.rows() == before
    assert lab.ended == []


async def test_told_of_anew_its_old_hive_ends(lab: Lab, known: Sshd) -> None:
    await lab.membership.add(asked(known, git_branch="old", ssh_user="marie"))
    old = lab.open()
    await lab.membership.add(asked(known, git_branch="new"))
    assert lab.ended == [NAME]
    (row,) = lab.rows()
    assert (row.git_branch, row.ssh_user) == ("new", None)
    assert lab.nodes.hive(NAME) is not old


async def test_who_asks_for_a_node_that_changes_has_its_new_hive(lab: Lab, known: Sshd) -> None:
    await lab.membership.add(asked(known))
    lab.registry.on_put = lambda: lab.nodes.hive(NAME)  # somebody asks in the middle
    await lab.membership.add(asked(known, hive_port=9300))
    assert await lab.nodes.hive(NAME).host.connect(lambda *_: None) == "http://127.0.0.1:9300"


async def test_this_machine_is_not_added(lab: Lab, sshd: Sshd) -> None:
    with pytest.raises(InvalidRequest, match="localhost is this machine"):
        await lab.membership.add(asked(sshd, node_name="localhost"))
    assert sshd.connections == []


async def test_paths_of_the_person_are_expanded_here(lab: Lab, known: Sshd, home: Path) -> None:
    (home / "key file").write_text("the-key-of-the-node\n")
    await lab.membership.add(
        asked(known, ssh_key_path="~/.ssh/id_ed25519", api_key_file="~/key file")
    )
    (row,) = lab.rows()
    assert row.ssh_key_path == str(home / ".ssh" / "id_ed25519")
    assert row.api_key_file == str(home / "key file")


async def test_a_hive_deployed_by_hand_is_asked_itself(
    lab: Lab, fake_hive: Start, tmp_path: Path
) -> None:
    hive = await fake_hive()
    hive.backends = ["vulkan", "cpu"]
    file = tmp_path / "key"
    file.write_text(hive.key + "\n")
    wanted = AddNode(node_name=NAME, hive_url=hive.url + "/", api_key_file=str(file))
    added = await lab.membership.add(wanted)
    assert added.message.startswith(f"{NAME} is added, with rbee ")
    assert added.detected is None
    (row,) = lab.rows()
    assert (row.status, row.backends, row.devices) == ("reachable", ["vulkan", "cpu"], {"cpu": 1})
    assert await lab.nodes.hive(NAME).discover()
    status = await lab.nodes.status(lab.nodes.hive(NAME))
    assert (status.state, status.url, status.ours) == ("running", hive.url, False)
    await hive.close()
    with pytest.raises(ConnectionTimeout, match="start it on that machine"):
        await lab.nodes.hive(NAME).host.start_hive(lambda *_: None)


async def test_a_hive_url_without_a_key_of_its_own_is_refused(
    lab: Lab, fake_hive: Start, home: Path
) -> None:
    hive = await fake_hive()
    with pytest.raises(InvalidRequest) as caught:
        await lab.membership.add(AddNode(node_name=NAME, hive_url=hive.url))
    assert [each["field"] for each in caught.value.details["errors"]] == ["api_key_file"]
    assert "--api-key-file FILE" in caught.value.advice
    assert lab.rows() == []
    assert (hive.asked, hive.refused) == ([], [])


async def test_a_hive_url_that_stands_there_without_a_key_is_not_tried_with_the_queens(
    lab: Lab, fake_hive: Start, home: Path
) -> None:
    """From before, or in the config file."""
    (home / ".rbee").mkdir()
    hive = await fake_hive()
    (home / ".rbee" / "api_key").write_text(hive.key)
    await lab.registry.put(NodeRow(node_name=NAME, hive_url=hive.url))
    assert not await lab.nodes.hive(NAME).discover()
    status = await lab.nodes.status(lab.nodes.hive(NAME))
    assert status.state == "unreachable"
    assert f"{NAME} has hive_url, but no file with the key of its hive" in str(status.error)
    with pytest.raises(InvalidRequest, match="api_key_file"):
        await lab.nodes.hive(NAME).host.probe()
    assert (hive.asked, hive.refused) == ([], [])


async def test_a_hive_that_refuses_the_key_is_not_stored(
    lab: Lab, fake_hive: Start, tmp_path: Path
) -> None:
    hive = await fake_hive()
    file = tmp_path / "key"
    file.write_text("another-key\n")
    with pytest.raises(InvalidApiKey):
        await lab.membership.add(AddNode(node_name=NAME, hive_url=hive.url, api_key_file=str(file)))
    await hive.close()
    with pytest.raises(ConnectionTimeout):
        await lab.membership.add(AddNode(node_name=NAME, hive_url=hive.url, api_key_file=str(file)))
    assert lab.rows() == []


@pytest.mark.parametrize("odd", ["/dev/zero", "/dev", "/etc/passwd", "/nowhere"])
async def test_a_file_without_a_key_is_the_request_s_fault(
    lab: Lab, fake_hive: Start, odd: str
) -> None:
    hive = await fake_hive()
    with pytest.raises(InvalidRequest) as caught:
        await lab.membership.add(AddNode(node_name=NAME, hive_url=hive.url, api_key_file=odd))
    [wrong] = caught.value.details["errors"]
    assert (wrong["field"], wrong["value"]) == ("api_key_file", odd)
    assert "remove" not in caught.value.advice
    assert lab.rows() == []
    await hive.close()


async def test_a_node_leaves_and_its_hive_ends(lab: Lab, known: Sshd) -> None:
    await lab.membership.add(asked(known))
    lab.open()
    removed = await lab.membership.remove("127.0.0.1")
    assert removed.message == f"{NAME} is removed."
    assert lab.ended == [NAME]
    assert lab.rows() == []
    assert [hive.node for hive in lab.nodes.hives()] == ["localhost"]
    with pytest.raises(NodeNotFound):
        await lab.membership.remove(NAME)


async def test_a_node_of_the_config_file_is_not_removed(lab: Lab) -> None:
    lab.configured[NAME] = {"ssh_host": "w"}
    await lab.membership.reload()
    with pytest.raises(InvalidRequest, match="stands in the config file") as caught:
        await lab.membership.remove("w")
    assert f"rbee-keeper config remove-node --node {NAME}" in caught.value.advice
    assert len(lab.rows()) == 1


async def test_what_the_config_file_changes_ends_the_old_hive(lab: Lab) -> None:
    lab.configured.update({NAME: {"ssh_host": "w"}, "attic": {"ssh_host": "a"}})
    assert (await lab.membership.reload()).message == "2 nodes changed."
    for name in (NAME, "attic"):
        lab.open(name)
    lab.configured[NAME] = {"ssh_host": "w2"}
    assert (await lab.membership.reload()).message == "1 node changed."
    assert lab.ended == [NAME]


async def test_a_node_is_one_hive_by_whatever_name(lab: Lab) -> None:
    await lab.registry.put(NodeRow(node_name=NAME, ssh_host="w.home.arpa"))
    known = lab.nodes.hive(NAME)
    assert lab.nodes.hive("w.home.arpa") is known
    assert lab.nodes.hive(None) is lab.nodes.hive("localhost")
    assert [hive.node for hive in lab.nodes.hives()] == ["localhost", NAME]
    with pytest.raises(NodeNotFound):
        lab.nodes.hive("nobody")


async def test_a_node_that_is_off_has_a_status_all_the_same(lab: Lab, sshd: Sshd) -> None:
    off = NodeRow(node_name=NAME, ssh_host="127.0.0.1", ssh_port=1)
    await lab.registry.put(off)
    async with asyncio.timeout(5):
        status = await lab.nodes.status(lab.nodes.hive(NAME))
        assert status == HiveStatus(node=NAME, state="stopped")
        lab.registry.record_contact(
            NAME, ConnectionTimeout("it is off", host="h", port=1, attempts=3)
        )
        status = await lab.nodes.status(lab.nodes.hive(NAME))
        assert status == HiveStatus(node=NAME, state="unreachable", error="it is off")


async def test_the_nodes_are_looked_at_once_and_at_the_same_time(
    lab: Lab, fake_hive: Start, home: Path, known: Sshd
) -> None:
    known.authorized.clear()
    refusing = NodeRow(node_name="no", ssh_host="127.0.0.1", ssh_port=known.port, tunnel=True)
    await lab.registry.put(refusing)
    hive = await fake_hive()
    (home / ".rbee").mkdir()
    (home / ".rbee" / "api_key").write_text(hive.key)
    for turn in range(20):
        name = f"off-{turn}"
        await lab.registry.put(NodeRow(node_name=name, ssh_host="127.0.0.1", ssh_port=1))
    file = str(home / ".rbee" / "api_key")
    await lab.registry.put(NodeRow(node_name=NAME, hive_url=hive.url, api_key_file=file))
    began = time.monotonic()
    await asyncio.gather(lab.nodes.discover(), lab.nodes.discover())
    await lab.nodes.discover()
    assert len(known.connections) == 1
    assert lab.nodes.hive(NAME).is_running
    assert time.monotonic() - began < 4
    assert await lab.nodes.workers() == []
    assert hive.asked.count("/v1/node") == 2  # found, and met


async def test_of_many_nodes_only_some_are_looked_at_at_the_same_time(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once would be late for each other, and none would be found in time."""
    looked_at: list[str] = []
    now, most = 0, 0

    async def discover(hive: Hive) -> bool:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        looked_at.append(hive.node)
        return False

    monkeypatch.setattr(Hive, "discover", discover)
    for number in range(300):
        await lab.registry.put(NodeRow(node_name=f"n{number}", ssh_host=f"10.1.1.{number}"))
    await lab.nodes.discover()
    assert len(looked_at) == len(set(looked_at)) == 301
    assert 50 <= most <= 100  # so that some that hang do not hold up the others


async def test_nodes_that_sleep_are_looked_at_last(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asyncio.Event()

    async def discover(hive: Hive) -> bool:
        if hive.node == "zz":
            found.set()
        await asyncio.sleep(60 if hive.node.startswith("n") else 0)
        return False

    monkeypatch.setattr(Hive, "discover", discover)
    off = ConnectionTimeout("it is off", host="h", port=1, attempts=3)
    for number in range(100):
        await lab.registry.put(NodeRow(node_name=f"n{number}", ssh_host=f"10.1.1.{number}"))
        lab.registry.record_contact(f"n{number}", off)
    await lab.registry.put(NodeRow(node_name="zz", ssh_host="10.1.2.1"))
    await lab.nodes.discover(0.01)
    await asyncio.wait_for(found.wait(), 2)
