"""A node's place that is reached by SSH: its hive is found, or started there."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from rbee.contract.config import Config
from rbee.contract.daemons import Hello, Listening
from rbee.contract.errors import AddressInUse, SshConnectionFailed
from rbee.contract.registry import NodeRow
from rbee.queen.nodes import hub_token
from rbee.queen.nodes.hosts import NoHiveError, Running, UrlHost, dial, three_times
from rbee.queen.ssh import hive_process as remote_hive
from rbee.queen.ssh.connection import SshConnection
from rbee.queen.ssh.login import NoAnswerError
from rbee.runtime import api_key, bind, child
from rbee.runtime.log import correlation_id
from rbee.runtime.narration import Say

_PROGRAM = "rbee-hive"
_QUEEN = "queen-rbee"
# The key of a hive that a person started there.
_KEY_WITHIN_S = 3.0
_THEIR_KEY = 'echo; cat "$HOME/.rbee/api_key"'


class SshHost:
    """A machine that the queen reaches by SSH; she starts its hive if none runs there."""

    starts = True

    def __init__(self, row: NodeRow, config: Config) -> None:
        self.node = row.node_name
        self.ssh = SshConnection(row, config.times.connect_s)
        self._row = row
        self._config = config
        # Of the hive that was started from here last.
        self._own_key: str | None = None
        self._make_key = partial(secrets.token_urlsafe, 32)

    @property
    def update(self) -> str:
        running = f"one that runs there ends with: rbee-keeper hive stop --node {self.node}"
        return f"Update it: {self.ssh.install_command}; {running}"

    async def ready(self, say: Say) -> str:
        limit = self._config.times.connect_s
        if not self.ssh.is_connected:
            port = await self.ssh.port()  # also loads asyncssh, whose time is not the node's
            try:
                await three_times(self.ssh.connect, self.node, self.ssh.host, port, limit, say)
            except SshConnectionFailed as error:
                if "fingerprint" in error.details:  # as the person calls it
                    error.details |= {"node": self.node, "host": self.ssh.host}
                raise
        return self._url()

    async def glance(self) -> str:
        """A closed port tells it without SSH, where the name means something outside of ssh."""
        host, port = self.ssh.host, self._row.hive_port
        if not self._row.tunnel and not self.ssh.is_connected and self._row.hive_url is None:
            try:
                await dial(host, port)
            except NoAnswerError as error:
                if isinstance(error.__cause__, ConnectionRefusedError):
                    raise NoHiveError from None
        try:
            await self.ssh.connect()
        except NoAnswerError as error:
            raise error.told() from None
        return self._url()

    def _url(self) -> str:
        if self._row.hive_url is not None:
            return self._row.hive_url.rstrip("/")
        host = self.ssh.peer if self.ssh.is_direct else "127.0.0.1"
        return bind.url(host, self._row.hive_port)

    async def keys(self) -> AsyncIterator[str]:
        if self._row.api_key_file is not None:
            yield api_key.load(self._row.api_key_file)
            return
        if self._own_key is not None:
            yield self._own_key
        # Past what a login shell says before it.
        theirs = (
            (await self.ssh.run(_THEIR_KEY, within_s=_KEY_WITHIN_S)).out.strip().splitlines()[-1:]
        )
        if theirs and theirs[0].isprintable():
            yield theirs[0]

    async def reach(self, url: str) -> str:
        parts = urlsplit(url)
        if self.ssh.is_direct or parts.port is None or parts.hostname != "127.0.0.1":
            return url
        return bind.url("127.0.0.1", await self.ssh.forward(parts.port))

    async def start(self, say: Say) -> tuple[Running, Listening, str]:
        key = self._make_key()
        if self._row.api_key_file is not None:
            key = api_key.load(self._row.api_key_file)
        self._own_key = key
        say(_QUEEN, "🐝", f"starting rbee-hive on {self.node} over SSH")
        port = self._row.hive_port
        try:
            running, listening = await self._start(port, key)
        except AddressInUse as error:
            holder = error.details.get("holder") or "another program"
            told = f"port {port} of {self.node} is held by {holder}: the hive takes a free one"
            say(_QUEEN, "🏠", told)
            running, listening = await self._start(0, key)
        return running, listening, key

    async def _start(self, port: int, key: str) -> tuple[Running, Listening]:
        hello = Hello(
            key,
            child.owner(_QUEEN),
            bind=None if self.ssh.is_direct else "127.0.0.1",
            hf_token=hub_token.load(),
            correlation_id=correlation_id.get(),
        )
        command = [self.program, "daemon", "--lifeline", "--port", str(port)]
        heartbeat_s = self._config.times.lifeline_heartbeat_s
        try:
            return await remote_hive.start(self.ssh, command, hello, heartbeat_s)
        except NoAnswerError as error:
            raise error.told() from None

    @property
    def program(self) -> str:
        """The rbee-hive there: what [remote] says, else the node's own, else by its PATH."""
        remote = self._config.remote
        if remote.binary_path is not None:
            return remote.binary_path
        folder = remote.git_repo_dir or self._row.install_path
        if folder is None:
            return _PROGRAM
        return str(PurePosixPath(folder, ".venv", "bin", _PROGRAM))

    async def close(self) -> None:
        await self.ssh.close()


def site(row: NodeRow, config: Config) -> UrlHost | SshHost:
    """The place that a row of the registry describes."""
    return UrlHost(row, config) if row.ssh_host is None else SshHost(row, config)
