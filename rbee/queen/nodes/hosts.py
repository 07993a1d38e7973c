"""Where a node's hive is, and how it is started there: here, or by a person. ssh_site.py has the
third: over SSH."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

from rbee import __version__
from rbee.contract.config import Config
from rbee.contract.daemons import Hello, Listening
from rbee.contract.errors import ConnectionTimeout
from rbee.contract.registry import LOCAL, NodeRow
from rbee.queen.ssh.login import NoAnswerError, reason_of
from rbee.runtime import api_key, bind, child, paths
from rbee.runtime.client import address
from rbee.runtime.log import correlation_id
from rbee.runtime.narration import Say
from rbee.runtime.retry import doubling

T = TypeVar("T")

_PROGRAM = "rbee-hive"
_QUEEN = "queen-rbee"
TRIES = 3
_FIRST_PAUSE_S = 0.2


class NoHiveError(Exception):
    """No hive listens on the node; nothing more was looked at."""


class Running(Protocol):
    """A hive that this queen started: `child.Child`, or its like on another machine."""

    @property
    def is_running(self) -> bool: ...

    async def wait(self) -> int | None: ...

    async def end(self, within_s: float) -> int | None: ...

    async def kill(self) -> int | None: ...

    def let_go(self) -> None: ...


class Host(Protocol):
    """One node's place. Everything is asked anew: a node changes without telling. `starts`: a hive
    can be started there from here."""

    node: str
    starts: bool

    @property
    def update(self) -> str:
        """How a person brings another version there."""
        ...

    async def ready(self, say: Say) -> str:
        """Make sure that the machine can be reached; the URL at which a hive would be found.
        Raises CONNECTION_TIMEOUT after three tries, and SSH_CONNECTION_FAILED."""
        ...

    async def glance(self) -> str:
        """As `ready`, with one try and without a word, for whoever only looks whether a hive runs.
        Raises NoHiveError where that is known already."""
        ...

    def keys(self) -> AsyncIterator[str]:
        """The keys that a hive there may ask for, the likeliest first."""
        ...

    async def reach(self, url: str) -> str:
        """The URL under which a program of the node is reached from here."""
        ...

    async def start(self, say: Say) -> tuple[Running, Listening, str]:
        """Start a hive; with its ready line and its key."""
        ...

    async def close(self) -> None: ...


class LocalHost:
    """This machine. No SSH, no registration."""

    node = LOCAL
    starts = True
    update = ""

    def __init__(self, config: Config, key: str) -> None:
        self._config = config
        self._key = key

    async def ready(self, say: Say) -> str:
        return bind.url(self._config.hive.host, self._config.hive.port)

    async def glance(self) -> str:
        return await self.ready(lambda *_: None)

    async def keys(self) -> AsyncIterator[str]:
        yield self._key

    async def reach(self, url: str) -> str:
        return url

    async def start(self, say: Say) -> tuple[Running, Listening, str]:
        hive = self._config.hive
        port = hive.port
        if not bind.is_free(hive.host, port):
            holder = bind.holder(hive.host, port) or "another program"
            say(_QUEEN, "🏠", f"port {port} is held by {holder}: the hive takes a free one")
            port = 0
        command = paths.program(_PROGRAM, hive.command)
        say(_QUEEN, "🐝", f"starting rbee-hive on {self.node}")
        arguments = ["daemon", "--lifeline", "--host", hive.host, "--port", str(port)]
        hello = Hello(self._key, child.owner(_QUEEN), correlation_id=correlation_id.get())
        running, listening = await child.start([*command, *arguments], hello)
        return running, listening, self._key

    async def close(self) -> None:
        """Nothing is open."""


class UrlHost:
    """A node whose hive somebody deployed by hand: used as long as it answers, never started."""

    starts = False

    def __init__(self, row: NodeRow, config: Config) -> None:
        assert row.hive_url is not None
        self.node = row.node_name
        self.url = row.hive_url.rstrip("/")
        self._address = address(self.url)
        self._file = row.api_key_file
        self._config = config
        self.update = f"Install rbee {__version__} on {self.node}, and start its hive again there."

    async def ready(self, say: Say) -> str:
        host, port = self._address
        limit = self._config.times.connect_s
        await three_times(partial(dial, host, port), self.node, host, port, limit, say)
        return self.url

    async def glance(self) -> str:
        host, port = self._address
        try:
            await dial(host, port)
        except NoAnswerError as error:
            told = f"{self.node} does not answer at {host}:{port}: {error.reason}."
            raise ConnectionTimeout(told, host=host, port=port, attempts=1) from None
        return self.url

    async def keys(self) -> AsyncIterator[str]:
        yield api_key.load(self._file or self._config.auth.api_key_file)

    async def reach(self, url: str) -> str:
        return at_the_same_host(url, self.url)

    async def start(self, say: Say) -> tuple[Running, Listening, str]:
        host, port = self._address
        told = f"No hive answers on {self.node} at {self.url}: it is to be started there."
        raise ConnectionTimeout(told, host=host, port=port, attempts=1)

    async def close(self) -> None:
        """Nothing is open."""


def at_the_same_host(url: str, hive_url: str) -> str:
    """A worker of a hive that listens on every address, 0.0.0.0, is where its hive is."""
    host, port = address(url)
    if host not in ("0.0.0.0", "::"):
        return url
    return bind.url(address(hive_url)[0], port)


async def dial(host: str, port: int) -> None:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except (OSError, UnicodeError) as error:
        raise NoAnswerError(host, port, reason_of(error)) from error
    writer.close()


async def three_times(
    attempt: Callable[[], Awaitable[T]], node: str, host: str, port: int, limit_s: float, say: Say
) -> T:
    """Dial, told try by try, each with its limit and the pause before it."""
    reason = ""
    for turn, pause in enumerate(doubling(_FIRST_PAUSE_S, TRIES), start=1):
        delay = f" in {1000 * pause:.0f} ms" if pause else ""
        which = f"attempt {turn} of {TRIES}{delay} (limit {limit_s:g} s)"
        say(_QUEEN, "🔌", f"pool preflight: connecting to {host}:{port}, {which}")
        await asyncio.sleep(pause)
        try:
            async with asyncio.timeout(limit_s):
                return await attempt()
        except TimeoutError:
            reason = f"timeout, no answer within {limit_s:g} s"
        except NoAnswerError as error:
            host, port, reason = error.host, error.port, error.reason
    raise ConnectionTimeout(
        f"{node} does not answer at {host}:{port} after {TRIES} attempts: {reason}.",
        host=host,
        port=port,
        attempts=TRIES,
        node=node,
    )
