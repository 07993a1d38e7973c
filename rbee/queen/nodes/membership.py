"""A node joins, is told of anew, or leaves: tested before it is stored."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import InvalidRequest, SshConnectionFailed
from rbee.contract.nodes import Detected, NodeInfo
from rbee.contract.registry import LOCAL, AddNode, NodeAdded, NodeChanged, NodeRow, NodeSettings
from rbee.queen.nodes.hosts import UrlHost
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.ssh_host import SshHost, site
from rbee.queen.ssh import hive_process as remote_hive
from rbee.queen.ssh.detection import detected
from rbee.queen.ssh.login import NoAnswerError
from rbee.runtime.client import Client

_DETECT_WITHIN_S = 60.0
_ASK_WITHIN_S = 10.0


class SshTestFailed(SshConnectionFailed):
    """Where a person adds a node, what they say of it is wrong, and not the gateway."""

    status = 400


class Membership:
    """Changes what `nodes` knows."""

    def __init__(self, nodes: Nodes, config: Config) -> None:
        self._nodes = nodes
        self._config = config

    async def add(self, asked: AddNode) -> NodeAdded:
        """Test the node and store it, over what was there. Raises SSH_CONNECTION_FAILED, for a node
        with a hive of its own what that answers."""
        name = asked.node_name
        if name == LOCAL:
            told = "Expected another name: localhost is this machine, and is known already"
            raise InvalidRequest.of("node_name", "not localhost", told, name)
        registry = self._nodes.registry
        fields = {field: getattr(asked, field) for field in NodeSettings.__struct_fields__}
        for field in ("ssh_key_path", "api_key_file"):
            if fields[field] is not None:
                fields[field] = _expanded(fields[field])
        written = registry.configured(name)
        if any(fields[key] != value for key, value in written.items()):
            told = f"{name} stands in the config file, with other settings"
            hint = f"Change them there: rbee-keeper config set-ssh --node {name} …"
            raise InvalidRequest.of("node_name", "as in the config file", told, name, hint=hint)
        row = NodeRow(node_name=name, **fields)
        place = site(row, self._config)
        try:
            if isinstance(place, SshHost):
                detected = await _test_ssh(place, asked.accept_host_key)
                found = (detected.backends, detected.devices) if detected else (None, None)
                version = detected.version if detected else None
            else:
                info, version = await self._test_hive(place)
                detected, found = None, (info.backends, info.devices)
        finally:
            await place.close()
        row = msgspec.structs.replace(
            row,
            status="reachable",
            last_connected_unix=int(time.time()),
            backends=found[0],
            devices=found[1],
        )
        before = registry.get(name)
        await registry.put(row)
        if _settings_of(before) != fields:
            # Not before: who asks for the node meanwhile would have its hive by the old row.
            await self._nodes.forget(name)
        install = place.ssh.install_command if isinstance(place, SshHost) else ""
        return NodeAdded(True, _told(name, version, install), name, version, detected)

    async def remove(self, node: str) -> NodeChanged:
        """Forget a node; a hive that this queen started there ends. Raises NODE_NOT_FOUND, and
        INVALID_REQUEST for one that the config file names."""
        name = self._nodes.registry.find(node).node_name
        if self._nodes.registry.configured(name):
            told = f"{name} stands in the config file"
            hint = f"Remove it from there: rbee-keeper config remove-node --node {name}"
            raise InvalidRequest.of("node_name", "not in the file", told, name, hint=hint)
        await self._nodes.registry.remove(name)
        await self._nodes.forget(name)
        return NodeChanged(True, f"{name} is removed.")

    async def reload(self) -> NodeChanged:
        """Take up what the config file says now."""
        changed = await self._nodes.registry.reload()
        for name in changed:
            await self._nodes.forget(name)
        return NodeChanged(True, f"{len(changed)} node(s) changed.")

    async def _test_hive(self, place: UrlHost) -> tuple[NodeInfo, str]:
        times = self._config.times
        async for key in place.keys():
            async with Client(place.url, key, times.connect_s, times.stream_silence_s) as client:
                info = await client.call(ep.HIVE_NODE, within_s=_ASK_WITHIN_S)
                health = await client.call(ep.HIVE_HEALTH, within_s=_ASK_WITHIN_S)
                return info, health.version
        raise AssertionError("a given site has a key")


def _settings_of(row: NodeRow | None) -> dict[str, object] | None:
    names = NodeSettings.__struct_fields__
    return None if row is None else {name: getattr(row, name) for name in names}


def _expanded(path: str) -> str:
    try:
        return str(Path(path).expanduser())
    except RuntimeError:  # ~somebody who is not known here
        return path


async def _test_ssh(place: SshHost, accept: str | None) -> Detected | None:
    """What the node's own rbee-hive tells of it; None where there is none yet."""
    try:
        await place.ssh.connect(accept)
        found = await place.ssh.run(
            remote_hive.RUN, place.program, "detect", "--json", within_s=_DETECT_WITHIN_S
        )
    except NoAnswerError as error:
        told = error.told()
        raise SshTestFailed(told.message, **told.details) from None
    except SshConnectionFailed as error:
        raise SshTestFailed(error.message, **error.details) from None
    return detected(found.out)


def _told(name: str, version: str | None, install: str) -> str:
    if version is None:
        return f"{name} is added. rbee is not installed there yet: {install}"
    return f"{name} is added, with rbee {version}."
