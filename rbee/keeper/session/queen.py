"""The queen behind a command: found, or started for as long as the command runs.

A queen that runs but does not answer is found by its pid file, and ended by its pid.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract.daemons import OWNER, Hello, Hold, PidFile, QueenHealth
from rbee.contract.errors import (
    AddressInUse,
    ConfigInvalid,
    ConnectionRefused,
    ConnectionTimeout,
    ProgramFailed,
    RbeeError,
    ShuttingDown,
    StreamTruncated,
    TlsFailed,
)
from rbee.contract.versions import check
from rbee.keeper.settings import KeeperSettings, address_of, url_of
from rbee.runtime import api_key, bind, child, daemon_words, kernel, paths, pid_file
from rbee.runtime.client import Client, address
from rbee.runtime.concurrency import stop
from rbee.runtime.log import correlation_id
from rbee.runtime.plain_transport import PlainTransport
from rbee.runtime.prepared import Prepared

PROGRAM = "queen-rbee"
_POLL_S = 0.05
# An orderly end may take this beside the grace periods: asking a hive that hangs, and KILL.
_SPARE_S = 10


class Queen:
    """The queen, and this command's hold on it: `reach` takes it, and `release` gives it back."""

    def __init__(self, settings: KeeperSettings, with_hive: bool = False) -> None:
        """`with_hive`: the command will need this machine's hive, so a queen that is started for it
        prepares one."""
        self._settings = settings
        self._refused = False
        self._with_hive = with_hive
        self._key = api_key.load(settings.config.auth.api_key_file)
        self.client = self._connect(settings.queen_url)
        self.health: QueenHealth | None = None
        self._began: float | None = None
        self._child: child.Child | None = None
        self._holding: asyncio.Task[None] | None = None
        self._hold_id: str | None = None

    def _connect(self, url: str) -> Client:
        times = self._settings.config.times
        transport = PlainTransport(self._settings.ca)
        return Client(url, self._key, times.connect_s, times.stream_silence_s, transport)

    @property
    def started_here(self) -> bool:
        return self._child is not None

    async def find(self) -> QueenHealth | None:
        """The health of the queen at the configured address; None if nothing listens there.

        Raises ADDRESS_IN_USE if something else does, TLS_FAILED and VERSION_MISMATCH.
        """
        host, port = address_of(self._settings)
        try:
            try:
                health = await self._ask(host, port)
            except TlsFailed:
                if not await self._take_scheme_of_pid_file(host, port):
                    raise
                health = await self._ask(host, port)
        except (ConfigInvalid, TlsFailed):
            raise
        except RbeeError:
            raise self._held_by_another(host, port) from None
        if health is None:
            return None
        if health.program != PROGRAM:
            raise self._held_by_another(host, port)
        check("rbee-keeper", __version__, PROGRAM, health.version)
        self.health, self._began = health, None
        return health

    async def _ask(self, host: str, port: int) -> QueenHealth | None:
        """What answers there; None if the port is free. If it is taken and nothing answers, ask
        again for 5 s: another command may just be starting the queen."""
        now = asyncio.get_running_loop().time
        deadline = now() + ep.QUEEN_HEALTH.within_s
        while True:
            try:
                left = max(deadline - now(), _POLL_S)
                return await self.client.call(ep.QUEEN_HEALTH, within_s=left)
            except ConnectionTimeout as error:
                self._refused = isinstance(error, ConnectionRefused)
                if not bind.is_local(host) or bind.is_free(host, port):
                    return None
                if now() >= deadline:
                    raise
            await asyncio.sleep(_POLL_S)

    async def _take_scheme_of_pid_file(self, host: str, port: int) -> bool:
        """Turn from HTTPS to HTTP, or back, if this machine's queen was started before the settings
        were changed. Returns whether there is something to turn to."""
        named = find_unresponsive(PROGRAM, host, port)
        scheme, _, where = self.client.url.partition("://")
        spoken = named.url.partition("://")[0] if named else scheme
        if spoken == scheme:
            return False
        await self.client.close()
        self.client = self._connect(f"{spoken}://{where}")
        return True

    async def reach(self, keep: bool = False) -> None:
        """Find the queen and hold it, or start it if its address is this machine's; with `keep`,
        make it run until it is told to stop."""
        while True:
            try:
                if await self.find() is None:
                    await self._start()
                elif self.health is not None and self.health.lifetime == "ephemeral":
                    await self._hold()
                if keep:
                    await self.client.call(ep.QUEEN_KEEP)
                return
            except ShuttingDown:
                await self.wait_until_gone()
            except AddressInUse as error:
                # Another command was faster, and its queen is the queen; or it is not a queen.
                if error.details.get("not_a_queen") or error.details.get("hangs"):
                    raise

    async def release(self) -> None:
        """Give the hold back. If it was the last one, wait until the queen is gone."""
        if self._hold_id is not None:
            stays = False
            try:
                released = await self.client.call(ep.QUEEN_RELEASE, hold_id=self._hold_id)
                stays = released.stays
            except TlsFailed:
                self.abandon()  # it was started here, with a certificate for other names
            except RbeeError:
                pass
            if not stays:
                await self.wait_until_gone()
            self._hold_id = None
        if self._holding is not None:
            await stop(self._holding)
        if self._child is not None:
            self._child.lifeline.close()
        await self.client.close()

    async def wait_until_gone(self) -> None:
        """Wait for the end of a queen that is ending; kill it if it was started here and hangs.

        Raises PROGRAM_FAILED if it still runs after 3 × the grace period and 10 s.
        """
        limit_s = 3 * self._settings.config.times.grace_s + _SPARE_S
        if self._child is not None:
            await self._child.end(limit_s)
            self._child = None
            return
        try:
            async with asyncio.timeout(limit_s):
                while await self._is_there():  # noqa: ASYNC110  another process: no event to wait for
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            pid = self.health.pid if self.health else "unknown"
            raise ProgramFailed(
                f"queen-rbee (pid {pid}) was told to end and still runs after {limit_s:g} s.",
                program=PROGRAM,
                reason="it does not end",
            ) from None

    def abandon(self) -> None:
        """Close the lifeline without waiting: everything below ends by itself."""
        if self._child is not None:
            self._child.lifeline.close()

    async def _start(self) -> None:
        host, port = address_of(self._settings)
        if not bind.is_local(host):
            url = self._settings.queen_url
            why = " (refused)" if self._refused else ""
            raise ConnectionTimeout(
                f"No queen answers at {url}{why}, and that is not this machine, so none is "
                "started.",
                host=host,
                port=port,
                attempts=1,
            )
        words = paths.program(PROGRAM, self._settings.config.queen.command)
        words += daemon_words.write(port, host, *(["--with-hive"] if self._with_hive else []))
        prepared = Prepared(words)  # it starts while this process finds out who it is
        hello = Hello(self._key, child.owner("rbee-keeper"), correlation_id=correlation_id.get())
        self._child, listening = await child.begin(prepared, hello)
        self._hold_id = OWNER
        scheme, (_, taken) = listening.url.partition("://")[0], address(listening.url)
        url = url_of(host, taken, scheme == "https")
        if url != self.client.url:  # port 0: it took a free one
            await self.client.close()
            self.client = self._connect(url)

    async def _hold(self) -> None:
        assert self.health is not None
        self._began = kernel.started(self.health.pid)
        held = asyncio.get_running_loop().create_future()
        self._holding = asyncio.create_task(self._keep_holding(held))
        self._hold_id = await held

    async def _keep_holding(self, held: asyncio.Future[str]) -> None:
        try:
            async with self.client.stream(ep.QUEEN_HOLD) as events:
                async for event in events:
                    if isinstance(event, Hold) and not held.done():
                        held.set_result(event.hold_id)
        except RbeeError as error:
            if not held.done():
                # A hold that ends before it is granted: the queen is just ending.
                broken = isinstance(error, ConnectionTimeout | StreamTruncated)
                held.set_exception(ShuttingDown() if broken else error)
        else:
            if not held.done():
                held.set_exception(ShuttingDown())

    async def _is_there(self) -> bool:
        """Whether the queen's process still runs, or if that is unknown, whether it answers."""
        if self.health is not None and bind.is_local(address_of(self._settings)[0]):
            # The start time matters: another process may get the pid meanwhile.
            self._began = self._began or kernel.started(self.health.pid)
            return self._began is not None and pid_file.is_running(self.health.pid, self._began)
        try:
            await self.client.call(ep.QUEEN_HEALTH)
        except RbeeError:
            return False
        return True

    def _held_by_another(self, host: str, port: int) -> AddressInUse:
        where = f"{host}:{port}"
        if (found := find_unresponsive(PROGRAM, host, port)) is not None:
            return AddressInUse(
                f"The queen-rbee at {where} (pid {found.pid}) does not answer.",
                address=where,
                holder=f"queen-rbee (pid {found.pid})",
                hangs=found.pid,
                hint="End it and everything that it started: rbee-keeper daemon stop",
            )
        return AddressInUse(
            f"{where} is held by something that is not queen-rbee.",
            address=where,
            holder=bind.holder(host, port),
            not_a_queen=True,
        )


def find_unresponsive(program: str, host: str, port: int) -> PidFile | None:
    """The `program` of this machine that holds `host`:`port`, according to its pid file.

    None if that process has ended (the start time tells it from another one that has got its pid
    since), or if another process holds the address.
    """
    if not bind.is_local(host):
        return None
    named = pid_file.read(paths.pid_file(program))
    if named is None or named.program != program or not bind.is_held_by(named.pid, host, port):
        return None
    return named


async def end_unresponsive(
    named: PidFile, grace_s: float, kill: Callable[[int, int], None] = os.kill
) -> None:
    """Send it TERM, and KILL after the grace period. Its lifelines close with it, which ends
    everything below. Raises PROGRAM_FAILED if it still runs."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            if pid_file.is_running(named.pid, named.started):
                kill(named.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while pid_file.is_running(named.pid, named.started):  # noqa: ASYNC110  not our child
                    await asyncio.sleep(_POLL_S)
            return
    raise ProgramFailed(
        f"{named.program} (pid {named.pid}) was killed and still runs.",
        program=named.program,
        reason="it can't be ended",
    )
