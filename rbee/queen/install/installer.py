"""Installations on nodes, one at a time on each, and what the registry then knows of the node."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator

import msgspec

from rbee.contract.config import Config
from rbee.contract.errors import InvalidRequest
from rbee.contract.events import Event
from rbee.contract.nodes import Detected
from rbee.contract.registry import InstallNode
from rbee.queen.install.plan import Installation, folder_of
from rbee.queen.nodes.nodes import Nodes
from rbee.runtime.event_queue import EventQueue, run_as_stream
from rbee.runtime.narration import Narrator

_QUEEN = "queen-rbee"


class Installer:
    """By the names of the nodes."""

    def __init__(self, nodes: Nodes, config: Config) -> None:
        self._nodes = nodes
        self._config = config
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def start(self, asked: InstallNode) -> AsyncIterator[Event | None]:
        """Narrated step by step. A reader that leaves cancels it, and what was installed before
        stays in use."""
        return run_as_stream(lambda events: self._install(asked, events))

    async def _install(self, asked: InstallNode, events: EventQueue) -> None:
        row = self._nodes.registry.find(asked.node_name)
        name = row.node_name
        say = Narrator(events.put_nowait, name).say
        wanted = Installation(
            node=name,
            folder=folder_of(self._config.remote.git_repo_dir, row.install_path),
            git_repo_url=row.git_repo_url,
            git_branch=row.git_branch,
            wheel=asked.wheel,
            backend=asked.backend,
        )
        # Not sooner: what makes wheels takes long to import, and a queen may never install.
        from rbee.queen.install.installation import install

        hive = self._nodes.hive(name)
        await self._nodes.may_use(hive, True, say)
        async with hive.use_host() as host:
            if host.remote is None:
                message = f"{name} is not reached over SSH: install rbee on that machine"
                raise InvalidRequest.of("node_name", "a node with SSH", message, name)
            turn = self._turns[name]
            if turn.locked():
                waiting = f"another installation on {name} is in progress: waiting for it"
                say(_QUEEN, "⏱️", waiting)
            async with turn:
                installed = await install(host.remote, wanted, say)
        await self._note(name, installed.detected)

    async def _note(self, name: str, detected: Detected | None) -> None:
        row = self._nodes.registry.get(name)
        if row is None:  # removed meanwhile
            return
        row = msgspec.structs.replace(
            row, status="reachable", last_error=None, last_connected_unix=int(time.time())
        )
        if detected is not None:
            row = msgspec.structs.replace(row, backends=detected.backends, devices=detected.devices)
        await self._nodes.registry.put(row)
