"""Add a node, change it or remove it. A node is tested before it is stored."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from rbee.contract.config import Config
from rbee.contract.errors import ConfigInvalid, InvalidRequest, SshConnectionFailed
from rbee.contract.registry import LOCAL, AddNode, NodeAdded, NodeChanged, NodeRow, NodeSettings
from rbee.queen.nodes.hosts import Host, Probe
from rbee.queen.nodes.nodes import Nodes, host_of
from rbee.queen.ssh.login import NoAnswerError


class SshTestFailed(SshConnectionFailed):
    """When a person adds a node, their settings are wrong, and not a gateway."""

    status = 400


class Membership:
    """Changes which nodes `nodes` has."""

    def __init__(self, nodes: Nodes, config: Config) -> None:
        self._nodes = nodes
        self._config = config

    async def add(self, asked: AddNode) -> NodeAdded:
        """Test the node and store it, over what was there. Raises SSH_CONNECTION_FAILED, and for a
        node with a deployed hive the errors of asking it."""
        name = asked.node_name
        if name == LOCAL:
            message = "Expected another name: localhost is this machine, which is always known"
            raise InvalidRequest.of("node_name", "not localhost", message, name)
        settings = {field: getattr(asked, field) for field in NodeSettings.__struct_fields__}
        for field in ("ssh_key_path", "api_key_file"):
            if settings[field] is not None:
                settings[field] = _expanded(settings[field])
        self._check_configured(name, settings)
        row = NodeRow(node_name=name, **settings)
        host = host_of(row, self._config)
        try:
            probe = await _test(host, asked.accept_host_key)
        finally:
            await host.close()
        row = msgspec.structs.replace(
            row,
            status="reachable",
            last_connected_unix=int(time.time()),
            backends=probe.backends,
            devices=probe.devices,
        )
        registry = self._nodes.registry
        before = registry.get(name)
        await registry.put(row)
        if _settings_of(before) != settings:
            # Not before: a request for the node meanwhile would make its hive by the old row.
            await self._nodes.forget(name)
        if probe.version is None:
            message = f"{name} is added. rbee is not installed there yet: {host.install_hint}"
        else:
            message = f"{name} is added, with rbee {probe.version}."
        return NodeAdded(True, message, name, probe.version, probe.detected)

    async def remove(self, node: str) -> NodeChanged:
        """Remove a node; a hive that this queen started there ends. Raises NODE_NOT_FOUND, and
        INVALID_REQUEST for a node of the config file."""
        name = self._nodes.registry.find(node).node_name
        if self._nodes.registry.configured(name):
            message = f"{name} stands in the config file"
            hint = f"Remove it from there: rbee-keeper config remove-node --node {name}"
            raise InvalidRequest.of("node_name", "not in the file", message, name, hint=hint)
        await self._nodes.registry.remove(name)
        await self._nodes.forget(name)
        return NodeChanged(True, f"{name} is removed.")

    async def reload(self) -> NodeChanged:
        """Apply what the config file says now."""
        changed = await self._nodes.registry.reload()
        for name in changed:
            await self._nodes.forget(name)
        nodes = "1 node" if len(changed) == 1 else f"{len(changed)} nodes"
        return NodeChanged(True, f"{nodes} changed.")

    def _check_configured(self, name: str, settings: dict[str, object]) -> None:
        """The config file counts again at the next start, so it must say the same."""
        configured = self._nodes.registry.configured(name)
        if any(settings[key] != value for key, value in configured.items()):
            message = f"{name} stands in the config file, with other settings"
            hint = f"Change them there: rbee-keeper config set-ssh --node {name} …"
            raise InvalidRequest.of("node_name", "as in the config file", message, name, hint=hint)


async def _test(host: Host, accept_host_key: str | None) -> Probe:
    try:
        return await host.probe(accept_host_key)
    except NoAnswerError as error:
        failed = error.as_rbee_error()
        raise SshTestFailed(failed.message, **failed.details) from None
    except SshConnectionFailed as error:
        raise SshTestFailed(error.message, **error.details) from None
    except ConfigInvalid as error:  # the file with the key is one that the request names
        said, file = error.message.rstrip("."), error.details["source"]
        hint = "Name a file on the queen's machine that holds the key of the node's hive."
        raise InvalidRequest.of("api_key_file", "a file with a key", said, file, hint) from None


def _settings_of(row: NodeRow | None) -> dict[str, object] | None:
    names = NodeSettings.__struct_fields__
    return None if row is None else {name: getattr(row, name) for name in names}


def _expanded(path: str) -> str:
    try:
        return str(Path(path).expanduser())
    except RuntimeError:  # ~somebody who is not known here
        return path
