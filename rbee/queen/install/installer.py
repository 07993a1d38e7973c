"""People have rbee installed on nodes: one installation at a time on each, and what is found
afterwards is kept."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator

import msgspec

from rbee.contract.config import Config
from rbee.contract.errors import InvalidRequest
from rbee.contract.events import Event
from rbee.contract.registry import InstallNode
from rbee.queen.install.installation import install
from rbee.queen.install.plan import Installation, folder_of
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.ssh_host import SshHost, site
from rbee.runtime.event_queue import Outlet, told
from rbee.runtime.narration import Narrator


class Installer:
    """By the names of their nodes."""

    def __init__(self, nodes: Nodes, config: Config) -> None:
        self._nodes = nodes
        self._config = config
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def start(self, asked: InstallNode) -> AsyncIterator[Event | None]:
        """Told step by step. A reader that leaves ends it; what was there before stays in use."""
        return told(lambda outlet: self._install(asked, outlet))

    async def _install(self, asked: InstallNode, outlet: Outlet) -> None:
        registry = self._nodes.registry
        row = registry.find(asked.node_name)
        name = row.node_name
        place = site(row, self._config)
        if not isinstance(place, SshHost):
            reason = f"{name} is not reached by SSH: install rbee there by hand"
            raise InvalidRequest.of("node_name", "a node with SSH", reason, name)
        say = Narrator(outlet.tell, name).say
        wanted = Installation(
            node=name,
            folder=folder_of(self._config.remote.git_repo_dir, row.install_path),
            git_repo_url=row.git_repo_url,
            git_branch=row.git_branch,
            wheel=asked.wheel,
            backend=asked.backend,
        )
        turn = self._turns[name]
        if turn.locked():
            say("queen-rbee", "⏱️", f"another installation on {name} is under way: waiting for it")
        try:
            async with turn:
                found = await install(place.ssh, wanted, say)
        finally:
            await place.close()
        known = registry.get(name)
        if known is not None:
            row = msgspec.structs.replace(
                known, status="reachable", last_error=None, last_connected_unix=int(time.time())
            )
            if (now := found.detected) is not None:
                row = msgspec.structs.replace(row, backends=now.backends, devices=now.devices)
            await registry.put(row)
