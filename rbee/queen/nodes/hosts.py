"""The machine of a node, as its hive is found and started there: this one, or one that is known by
the URL of a hive that somebody deployed. `ssh_host` has the third kind, with the same interface.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Literal, Protocol, TypeVar

import msgspec

from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.daemons import Hello, Listening
from rbee.contract.errors import (
    ConnectionRefused,
    ConnectionTimeout,
    InvalidRequest,
    PortBlocked,
    VersionMismatch,
)
from rbee.contract.nodes import Detected
from rbee.contract.registry import LOCAL, NodeRow
from rbee.contract.versions import check, is_older
from rbee.queen.nodes.local_hive import LocalHive
from rbee.queen.ssh.connection import SshConnection
from rbee.queen.ssh.login import NoAnswerError, reason_of
from rbee.runtime import api_key, bind, child
from rbee.runtime.client import Client, address
from rbee.runtime.concurrency import in_thread
from rbee.runtime.log import correlation_id
from rbee.runtime.narration import Say
from rbee.runtime.retry import doubling

T = TypeVar("T")

_PROGRAM = "rbee-hive"
_QUEEN = "queen-rbee"
ATTEMPTS = 3
_FIRST_PAUSE_S = 0.2


class NoHiveError(Exception):
    """No hive listens on the node. Nothing else was asked."""


class HiveProcess(Protocol):
    """A hive that this queen started: `child.Child`, or the same on another machine."""

    @property
    def is_running(self) -> bool: ...

    async def wait(self) -> int | None: ...

    async def end(self, within_s: float) -> int | None: ...

    async def kill(self) -> int | None: ...

    def cut_lifeline(self) -> None: ...


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine tells of itself. `version` is that of rbee there, None if it is not installed;
    `clock_ahead_s` is by how much its clock is ahead of the queen's. `hive_state` is known if a
    hive was asked, `detected` if the program was."""

    version: str | None
    backends: list[str] | None = None
    devices: dict[str, int] | None = None
    clock_ahead_s: float | None = None
    hive_state: Literal["running", "draining"] | None = None
    detected: Detected | None = None


class Host(Protocol):
    """One node's machine. Nothing is remembered of it: a machine changes without a word.
    `can_start`: this queen can start a hive there."""

    node: str
    can_start: bool

    @property
    def update_hint(self) -> str:
        """How a person installs another version there."""
        ...

    @property
    def install_hint(self) -> str:
        """How a person installs rbee there."""
        ...

    @property
    def remote(self) -> SshConnection | None:
        """Where programs can be run; None if only a hive can be asked."""
        ...

    async def connect(self, say: Say) -> str:
        """Make sure that the machine can be reached; the URL at which a hive would be found.
        Raises CONNECTION_TIMEOUT and CONNECTION_REFUSED after three attempts, and
        SSH_CONNECTION_FAILED."""
        ...

    async def connect_once(self) -> str:
        """As `connect`, with one attempt and without narration, for a caller that only looks
        whether a hive runs. Raises NoHiveError if that is known at once."""
        ...

    async def knock(self) -> None:
        """Connect once, to see whether anybody is there. Raises NoAnswerError."""
        ...

    async def probe(self, accept_host_key: str | None = None) -> Probe:
        """Ask the machine what it is, with one attempt. `accept_host_key` is the fingerprint of a
        host key to trust from now on. Raises NoAnswerError, SSH_CONNECTION_FAILED,
        CONNECTION_TIMEOUT and INVALID_API_KEY."""
        ...

    def in_use(self) -> AbstractContextManager[None]:
        """In this block `close` leaves the connection open."""
        ...

    def api_keys(self) -> AsyncIterator[str]:
        """The keys that a hive there may accept, the likeliest first."""
        ...

    async def reachable_url(self, url: str) -> str:
        """The URL under which a program of the node is reached from this machine."""
        ...

    async def start_hive(self, say: Say) -> tuple[HiveProcess, Listening, str]:
        """Start a hive; with its ready line and its key."""
        ...

    async def close(self) -> None:
        """Close the connection, unless somebody uses it."""
        ...


async def way_to(host: Host, url: str) -> tuple[str, str | None]:
    """The URL under which a program of the node is reached from this machine; and if that is the
    near end of a tunnel, the one at its far end."""
    reached = await host.reachable_url(url)
    return reached, url if host.remote is not None and reached != url else None


class _WithoutConnection:
    """What is the same wherever a hive is only asked over HTTP."""

    remote: SshConnection | None = None

    def in_use(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    async def close(self) -> None:
        """Nothing is open."""


class LocalHost(_WithoutConnection):
    """This machine. It needs no SSH and is not in the registry."""

    node = LOCAL
    can_start = True
    update_hint = install_hint = ""

    def __init__(self, config: Config, key: str, hive: LocalHive) -> None:
        self._config = config
        self._key = key
        self._hive = hive

    async def connect(self, say: Say) -> str:
        return await self.connect_once()

    async def connect_once(self) -> str:
        return bind.url(self._config.hive.host, self._config.hive.port)

    async def knock(self) -> None:
        """It is there."""

    async def probe(self, accept_host_key: str | None = None) -> Probe:
        return await _probe_hive(await self.connect_once(), self._key, self._config)

    async def api_keys(self) -> AsyncIterator[str]:
        yield self._key

    async def reachable_url(self, url: str) -> str:
        return url

    async def start_hive(self, say: Say) -> tuple[HiveProcess, Listening, str]:
        hive = self._config.hive
        port = hive.port
        if not bind.is_free(hive.host, port):
            holder = bind.holder(hive.host, port) or "another program"
            say(_QUEEN, "🏠", f"port {port} is held by {holder}: the hive takes a free one")
            port = 0
        prepared = self._hive.take(port)
        say(_QUEEN, "🐝", f"starting rbee-hive on {self.node}")
        hello = Hello(self._key, child.owner(_QUEEN), correlation_id=correlation_id.get())
        process, listening = await child.begin(prepared, hello)
        return process, listening, self._key


class UrlHost(_WithoutConnection):
    """A node whose hive somebody deployed: used as long as it answers, never started."""

    can_start = False

    def __init__(self, row: NodeRow, config: Config) -> None:
        assert row.hive_url is not None
        self.node = row.node_name
        self.url = row.hive_url.rstrip("/")
        self._address = address(self.url)
        self._key_file = row.api_key_file
        self._config = config
        self.install_hint = f"Install rbee {__version__} on {self.node}"
        self.update_hint = f"{self.install_hint}, and start its hive again there."

    async def connect(self, say: Say) -> str:
        host, port = self._address
        limit = self._config.times.connect_s
        await connect_repeatedly(partial(dial, host, port), self.node, host, port, limit, say)
        return self.url

    async def connect_once(self) -> str:
        host, port = self._address
        try:
            await dial(host, port)
        except NoAnswerError as error:
            if error.refused:
                raise refused(self.node, error) from None
            message = f"{self.node} does not answer at {host}:{port}: {error.reason}."
            raise ConnectionTimeout(message, host=host, port=port, attempts=1) from None
        return self.url

    async def knock(self) -> None:
        await dial(*self._address)

    async def probe(self, accept_host_key: str | None = None) -> Probe:
        return await _probe_hive(self.url, await self._key(), self._config)

    async def api_keys(self) -> AsyncIterator[str]:
        yield await self._key()

    async def _key(self) -> str:
        """The key of that hive alone: the queen's own is not for whoever listens there. Raises
        INVALID_REQUEST if no file with one is named."""
        if self._key_file is None:
            raise InvalidRequest.of(
                "api_key_file",
                "with hive_url",
                f"{self.node} has hive_url, but no file with the key of its hive",
                hint="Copy ~/.rbee/api_key from that machine into a file here that only you can "
                "read, and name it: --api-key-file FILE, or api_key_file in "
                f"[nodes.{self.node}].",
            )
        return await in_thread(api_key.load, self._key_file)

    async def reachable_url(self, url: str) -> str:
        return at_the_same_host(url, self.url)

    async def start_hive(self, say: Say) -> tuple[HiveProcess, Listening, str]:
        host, port = self._address
        message = f"No hive answers on {self.node} at {self.url}; start it on that machine."
        raise ConnectionTimeout(message, host=host, port=port, attempts=1)


def check_hive_version(host: Host, version: str) -> None:
    """Raises VERSION_MISMATCH, with the command that updates the older side."""
    try:
        check(_QUEEN, __version__, _PROGRAM, version)
    except VersionMismatch as error:
        if host.node == LOCAL:
            raise
        message = f"{error.message.rstrip('.')} on {host.node}."
        update_this = f"Update rbee on this machine: pip install 'rbee=={version}'"
        hint = host.update_hint if is_older(version, __version__) else update_this
        raise VersionMismatch(message, **{**error.details, "hint": hint}) from None


def port_blocked(host: Host, program: str, url: str) -> PortBlocked:
    """The error for a `program` of the node, by its own `url`, that runs and can't be reached."""
    name, port = address(url)
    remote = host.remote
    if remote is not None and remote.is_connected and not remote.is_direct:
        return PortBlocked(
            f"The {program} on {host.node} runs, but SSH does not forward its port {port}.",
            host=remote.host,
            port=port,
            tunnel=True,
        )
    return PortBlocked(
        f"The {program} on {host.node} runs, but its port {port} can't be reached.",
        host=name,
        port=port,
    )


def at_the_same_host(url: str, hive_url: str) -> str:
    """A worker of a hive that listens on every address, 0.0.0.0, is where its hive is."""
    host, port = address(url)
    if host not in ("0.0.0.0", "::"):
        return url
    return bind.url(address(hive_url)[0], port)


def refused(node: str, error: NoAnswerError) -> ConnectionRefused:
    """The error for a machine where nothing listens."""
    message = f"{node} does not answer at {error.host}:{error.port}: {error.reason}."
    return ConnectionRefused(message, host=error.host, port=error.port, attempts=1, node=node)


async def dial(host: str, port: int) -> None:
    """Open a TCP connection, and close it again. Raises NoAnswerError."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except (OSError, UnicodeError) as error:
        raise NoAnswerError(host, port, reason_of(error)) from error
    writer.close()


async def connect_repeatedly(
    attempt: Callable[[], Awaitable[T]], node: str, host: str, port: int, limit_s: float, say: Say
) -> T:
    """Connect in three attempts, each narrated, with its limit and the pause before it. Raises
    CONNECTION_TIMEOUT, or CONNECTION_REFUSED if the last one was refused."""
    reason, kind = "", ConnectionTimeout
    for turn, pause in enumerate(doubling(_FIRST_PAUSE_S, ATTEMPTS), start=1):
        delay = f" in {1000 * pause:.0f} ms" if pause else ""
        which = f"attempt {turn} of {ATTEMPTS}{delay} (limit {limit_s:g} s)"
        say(_QUEEN, "🔌", f"pool preflight: connecting to {host}:{port}, {which}")
        await asyncio.sleep(pause)
        try:
            async with asyncio.timeout(limit_s):
                return await attempt()
        except TimeoutError:
            reason, kind = f"timeout, no answer within {limit_s:g} s", ConnectionTimeout
        except NoAnswerError as error:
            host, port, reason = error.host, error.port, error.reason
            kind = ConnectionRefused if error.refused else ConnectionTimeout
    raise kind(
        f"{node} does not answer at {host}:{port} after {ATTEMPTS} attempts: {reason}.",
        host=host,
        port=port,
        attempts=ATTEMPTS,
        node=node,
    )


async def _probe_hive(url: str, key: str, config: Config) -> Probe:
    times = config.times
    async with Client(url, key, times.connect_s, times.stream_silence_s) as client:
        asked = time.time()
        info = await client.call(ep.HIVE_NODE)
        ahead = clock_ahead_s(info.time_unix, (asked + time.time()) / 2)
        health = await client.call(ep.HIVE_HEALTH)
    return Probe(
        version=health.version,
        backends=info.backends,
        devices=info.devices,
        clock_ahead_s=ahead,
        hive_state=info.state,
    )


def clock_ahead_s(theirs_unix: float | None, ours_unix: float) -> float | None:
    return None if theirs_unix is None else round(theirs_unix - ours_unix, 1)
