"""The machine of a node that the queen reaches over SSH: its hive is found there, or started."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from rbee.contract.config import Config
from rbee.contract.daemons import Hello, Listening
from rbee.contract.errors import AddressInUse, SshConnectionFailed
from rbee.contract.registry import NodeRow
from rbee.queen.nodes.hosts import (
    HiveProcess,
    NoHiveError,
    Probe,
    clock_ahead_s,
    connect_repeatedly,
    dial,
    refused,
)
from rbee.queen.ssh import hive_process
from rbee.queen.ssh.connection import SshConnection
from rbee.queen.ssh.login import NoAnswerError
from rbee.runtime import api_key, bind, child, daemon_words
from rbee.runtime.concurrency import in_thread
from rbee.runtime.log import correlation_id
from rbee.runtime.narration import Say
from rbee.runtime.paths import home

_PROGRAM = "rbee-hive"
_QUEEN = "queen-rbee"
# The key of a hive that a person started there.
_KEY_WITHIN_S = 3.0
_THEIR_KEY = 'echo; cat "$HOME/.rbee/api_key"'


class SshHost:
    """A machine behind SSH. The queen starts its hive if none runs there."""

    can_start = True

    def __init__(
        self,
        row: NodeRow,
        config: Config,
        remote: SshConnection | None = None,
        make_key: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        """`make_key` makes the key of a hive that is started."""
        self.node = row.node_name
        self.remote = remote or SshConnection(row, config.times.connect_s)
        self._row = row
        self._config = config
        self._make_key = make_key
        # Of the hive that was started last: it may still run, cut off from this queen.
        self._last_key: str | None = None

    @property
    def install_hint(self) -> str:
        return self.remote.install_command

    @property
    def update_hint(self) -> str:
        stop = f"rbee-keeper hive stop --node {self.node}"
        return f"Update it: {self.install_hint}; a hive that runs there is stopped with: {stop}"

    async def connect(self, say: Say) -> str:
        ssh, limit = self.remote, self._config.times.connect_s
        if not ssh.is_connected:
            port = await ssh.port()  # also loads asyncssh, whose time is not the node's
            try:
                await connect_repeatedly(ssh.connect, self.node, ssh.host, port, limit, say)
            except SshConnectionFailed as error:
                if "fingerprint" in error.details:  # under the name that the person uses
                    error.details |= {"node": self.node, "host": ssh.host}
                raise
        return self._hive_url()

    async def connect_once(self) -> str:
        """A closed port tells without SSH that no hive runs, if the host's name means something
        outside of ssh."""
        host, port = self.remote.host, self._row.hive_port
        if not self._row.tunnel and not self.remote.is_connected and self._row.hive_url is None:
            try:
                await dial(host, port)
            except NoAnswerError as error:
                if error.refused:
                    raise NoHiveError from None
        try:
            await self.remote.connect()
        except NoAnswerError as error:
            if error.refused:
                raise refused(self.node, error) from None
            raise error.as_rbee_error() from None
        return self._hive_url()

    async def knock(self) -> None:
        with contextlib.suppress(SshConnectionFailed):  # it is there, and says no
            await self.remote.connect()

    async def probe(self, accept_host_key: str | None = None) -> Probe:
        await self.remote.connect(accept_host_key)
        found = await hive_process.detect(self.remote, self.program)
        if found is None:
            return Probe(version=None)
        return Probe(
            version=found.version,
            backends=found.backends,
            devices=found.devices,
            clock_ahead_s=clock_ahead_s(found.time_unix, time.time()),
            detected=found,
        )

    def in_use(self) -> AbstractContextManager[None]:
        return self.remote.in_use()

    def _hive_url(self) -> str:
        if self._row.hive_url is not None:
            return self._row.hive_url.rstrip("/")
        host = self.remote.peer if self.remote.is_direct else "127.0.0.1"
        return bind.url(host, self._row.hive_port)

    async def api_keys(self) -> AsyncIterator[str]:
        if self._row.api_key_file is not None:
            yield await in_thread(api_key.load, self._row.api_key_file)
            return
        if self._last_key is not None:
            yield self._last_key
        written = (await self.remote.run(_THEIR_KEY, within_s=_KEY_WITHIN_S)).out
        theirs = written.strip().splitlines()[-1:]  # past what a login shell prints before it
        if theirs and theirs[0].isprintable():
            yield theirs[0]

    async def reachable_url(self, url: str) -> str:
        parts = urlsplit(url)
        if self.remote.is_direct or parts.port is None or parts.hostname != "127.0.0.1":
            return url
        return bind.url("127.0.0.1", await self.remote.forward(parts.port))

    async def start_hive(self, say: Say) -> tuple[HiveProcess, Listening, str]:
        key = self._make_key()
        if self._row.api_key_file is not None:
            key = await in_thread(api_key.load, self._row.api_key_file)
        self._last_key = key
        say(_QUEEN, "🐝", f"starting rbee-hive on {self.node} over SSH")
        port = self._row.hive_port
        try:
            process, listening = await self._start(port, key)
        except AddressInUse as error:
            holder = error.details.get("holder") or "another program"
            held = f"port {port} of {self.node} is held by {holder}: the hive takes a free one"
            say(_QUEEN, "🏠", held)
            process, listening = await self._start(0, key)
        return process, listening, key

    async def _start(self, port: int, key: str) -> tuple[HiveProcess, Listening]:
        hello = Hello(
            key,
            child.owner(_QUEEN),
            bind=None if self.remote.is_direct else "127.0.0.1",
            hf_token=hub_token(),
            correlation_id=correlation_id.get(),
        )
        command = [self.program, *daemon_words.write(port)]
        heartbeat_s = self._config.times.lifeline_heartbeat_s
        try:
            return await hive_process.start(self.remote, command, hello, heartbeat_s)
        except NoAnswerError as error:
            raise error.as_rbee_error() from None

    @property
    def program(self) -> str:
        """The rbee-hive there: as [remote] says, else the node's own, else by its PATH."""
        remote = self._config.remote
        if remote.binary_path is not None:
            return remote.binary_path
        folder = remote.git_repo_dir or self._row.install_path
        if folder is None:
            return _PROGRAM
        return str(PurePosixPath(folder, ".venv", "bin", _PROGRAM))

    async def close(self) -> None:
        await self.remote.close()


def hub_token() -> str | None:
    """The token of Hugging Face that this machine's person has, for the nodes to use: where
    huggingface_hub finds it, without its import, which takes a sixth of a second."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if token := os.environ.get(name, "").strip():
            return token
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache")
    folder = Path(os.environ.get("HF_HOME") or cache / "huggingface")
    file = Path(os.environ.get("HF_TOKEN_PATH") or folder / "token").expanduser()
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
