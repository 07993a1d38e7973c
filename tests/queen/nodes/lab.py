"""A queen's end of one node, with everything on it that a test may bend."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec

from rbee import __version__
from rbee.contract.config import Config, RemoteSection, TimesSection
from rbee.contract.errors import RbeeError
from rbee.contract.events import Event
from rbee.contract.nodes import NodeInfo
from rbee.contract.registry import NodeRow
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.ssh_host import SshHost
from rbee.queen.ssh.connection import SshConnection
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.narration import Narrator
from tests.queen.conftest import NAME
from tests.queen.sshd import Sshd, until

from .fake_hive import FakeHive

TIMES = TimesSection(connect_s=3, grace_s=0.5, lifeline_heartbeat_s=0.5)


class Lab:
    """A queen's end of one node, and what it is told. The hive's process is a script on the node;
    its HTTP is `fake`, which the script announces."""

    def __init__(
        self,
        sshd: Sshd,
        fake: FakeHive,
        *,
        connect_s: float = 3,
        keepalive_s: float = 2,
        discover_within_s: float = 10,
        end_within_s: float = 0.2,
        **fields: Any,
    ) -> None:
        self.sshd, self.fake = sshd, fake
        sshd.write(".rbee/api_key", f"{fake.key}\n", 0o600)
        self.met: list[NodeInfo | RbeeError] = []
        self.events: Broadcast[Event] = Broadcast()
        row = {"ssh_host": "127.0.0.1", "ssh_port": sshd.port, "hive_port": 1, **fields}
        self.row = NodeRow(node_name=NAME, **row)
        times = msgspec.structs.replace(TIMES, connect_s=connect_s)
        config = Config(times=times, remote=RemoteSection(binary_path="~/rbee-hive"))
        remote = SshConnection(self.row, max(connect_s, 3), keepalive_s)
        self.host = SshHost(self.row, config, remote, make_key=lambda: fake.key)
        self.hive = Hive(
            self.host,
            config,
            self.events,
            self.met.append,
            discover_within_s=discover_within_s,
            end_within_s=end_within_s,
        )
        self.said: list[str] = []

    def install(self, version: str = __version__, taken: bool = False) -> None:
        """The node's rbee-hive; `taken`: only another port than the one that is wanted is free."""
        ready = {"event": "listening", "program": "rbee-hive", "version": version, "url": ""}
        line = json.dumps({**ready, "pid": 0, "url": self.fake.url}).replace(
            '"pid": 0', '"pid": %d'
        )
        error = {"code": "ADDRESS_IN_USE", "message": "taken", "details": {"holder": "nginx"}}
        failed = json.dumps({"event": "failed", "program": "rbee-hive", "error": error})
        refusal = f"[ $4 = 0 ] || {{ echo '{failed}'; exit 1; }}\n" if taken else ""
        self.sshd.write(
            "rbee-hive",
            f"#!/bin/sh\necho \"$@\" >>args\n{refusal}printf '{line}\\n' $$\n"
            "exec >/dev/null 2>&1\ncat >input\nexit 0\n",
        )

    async def up(self) -> None:
        async with asyncio.timeout(10):
            await self.hive.ensure_running(Narrator(lambda said: self.said.append(said.text), NAME))

    async def hello(self) -> dict[str, Any]:
        """What the hive was told first."""
        file = self.sshd.home / "input"
        await until(lambda: file.exists() and "\n" in file.read_text())
        return json.loads(file.read_text().splitlines()[0])  # type: ignore[no-any-return]

    @property
    def args(self) -> list[str]:
        file = self.sshd.home / "args"
        return file.read_text().splitlines() if file.exists() else []
