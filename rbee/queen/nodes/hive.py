"""The hive of one node, as the queen has it: found or started when it is needed, followed while it
runs, and ended with the queen if the queen started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import partial
from typing import Literal, TypeAlias

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import (
    ConnectionTimeout,
    ProgramFailed,
    RbeeError,
    ShuttingDown,
)
from rbee.contract.events import Event
from rbee.contract.nodes import HiveGone, NodeInfo
from rbee.contract.registry import LOCAL
from rbee.contract.workers import StandbyRow, WorkerGone, WorkerRow
from rbee.queen.nodes.fleet import Fleet, FleetWorker
from rbee.queen.nodes.hive_discovery import answers, find_hive, tell_to_end, wait_for_end
from rbee.queen.nodes.hive_events import HiveEvents
from rbee.queen.nodes.hive_state import HiveState, Observation, after
from rbee.queen.nodes.hosts import (
    HiveProcess,
    Host,
    NoHiveError,
    check_hive_version,
    port_blocked,
    way_to,
)
from rbee.queen.nodes.last_lines import LastLines
from rbee.queen.nodes.worker_clients import WorkerClients
from rbee.runtime import child
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.client import Client
from rbee.runtime.concurrency import Interruptible, stop
from rbee.runtime.log import uncorrelated
from rbee.runtime.narration import Narrator, Say

OnContact: TypeAlias = Callable[[NodeInfo | RbeeError | None], None]
_How: TypeAlias = Literal["ended", "killed", "lost", "left"]

_QUEEN = "queen-rbee"
_CONTACT_WITHIN_S = 5.0
_NOTICED_WITHIN_S = 0.5
_log = logging.getLogger(_QUEEN)


class Hive:
    """A node's hive. `ensure_running` finds or starts it; everything else asks it again.

    One call at a time changes what is connected. `state` follows the table in `hive_state`.
    """

    def __init__(
        self,
        host: Host,
        config: Config,
        queen_events: Broadcast[Event],
        on_contact: OnContact | None = None,
        *,
        fleet: Fleet | None = None,
        others: Callable[[], list[Hive]] = list,
        discover_within_s: float = 2.0,
        end_within_s: float | None = None,
    ) -> None:
        """`on_contact` hears whether the node could be reached: what its hive says of it, None if
        no hive was asked, or the error. The `fleet` hears what the hive tells. The `others` are the
        hives from which this one may fetch models. `discover_within_s`
        bounds a look at a machine that may be off, `end_within_s` is how long a hive may take to
        end."""
        self.node = host.node
        self.host = host
        # Requests that want the same model get one worker: only one of them starts it.
        self.worker_start_lock = asyncio.Lock()
        # Why no hive can be used on this node, as last found; None if there simply is none.
        self.last_error: RbeeError | None = None
        self._config = config
        self._queen_events = queen_events
        self._on_contact = on_contact
        self._discover_within_s = discover_within_s
        self._end_within_s = 2 * config.times.grace_s + 2 if end_within_s is None else end_within_s
        self._owner = child.owner(_QUEEN)
        self._state: HiveState = "absent"
        self._changing = asyncio.Lock()
        self._work = Interruptible()
        self._fleet = fleet or Fleet()
        self.others = others
        self._events = HiveEvents(host.node, queen_events, self._fleet)
        self._key = ""
        self._client: Client | None = None
        self._clients: weakref.WeakSet[Client] = weakref.WeakSet()
        self._worker_clients = WorkerClients()
        self._process: HiveProcess | None = None
        self._watching: asyncio.Task[None] | None = None
        self._is_told_gone = False
        self.last_lines = LastLines(host)
        # How the last hive of this queen broke off; None while it runs.
        self.broke: str | None = None

    # What is known of it

    @property
    def state(self) -> HiveState:
        """As it is observed at this moment."""
        if self._process is not None and not self._process.is_running:
            return after(self._state, "exited")
        if self._state == "running" and not self._events.is_followed:
            return after(self._state, "lost")
        return self._state

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    @property
    def is_away(self) -> bool:
        """Whether the node did not answer the last time."""
        node = self._fleet.nodes.get(self.node)
        return node is not None and node.away is not None

    @property
    def silence_s(self) -> float:
        """After how many seconds of silence a stream of this node is given up."""
        return self._config.times.stream_silence_s

    @property
    def is_ours(self) -> bool:
        """Whether this queen started it."""
        return self._process is not None

    @property
    def seen_workers(self) -> list[WorkerRow]:
        """The workers of this node as the hive last told, without asking it."""
        return [worker.row for worker in self._known_workers.values()] if self.is_running else []

    async def worker_exit(self, worker_id: str) -> WorkerGone | None:
        """How a worker ended; None if the hive does not tell it within 3 s, or has gone too. Then
        `last_lines` has what the worker wrote last."""
        found = await self._events.worker_exit(worker_id)
        if found is None and not self._events.is_followed:
            await self.notice_end()
        if found is None and self.broke is not None:
            async with self.use_host():
                await self.last_lines.read(worker_id)
        return found

    def may_have(self, worker_id: str) -> bool:
        """Whether a worker may still compute whose end nobody has told: the hive lists it, or is
        out of reach, which says nothing."""
        if self.is_running:
            return any(row.id == worker_id for row in self.seen_workers)
        return not self._events.has_ended

    async def notice_end(self) -> None:
        """Wait a moment for the end of the hive's process: a worker that ends in mid-answer may do
        so because its hive has died."""
        if self._watching is not None:
            await asyncio.wait({self._watching}, timeout=_NOTICED_WITHIN_S)

    # What is asked of it

    @property
    def http(self) -> Client:
        """The client of the hive itself. Raises CONNECTION_TIMEOUT if there is none."""
        if self._client is None:
            host, port = self.node, self._config.hive.port
            raise ConnectionTimeout(host=host, port=port, attempts=1)
        return self._client

    async def client_for(self, url: str) -> Client:
        """A client for a program of this node."""
        return self._connect(*await way_to(self.host, url), self._key)

    @contextlib.asynccontextmanager
    async def worker_client(self, url: str) -> AsyncIterator[Client]:
        """The client for a worker of this node, which others use too."""
        near, far = await way_to(self.host, url)
        connect = partial(self._connect, near, far, self._key)
        async with self._worker_clients.use(near, connect) as client:
            yield client

    def separate_client(self) -> Client:
        """Another client of the hive, for a stream that outlasts the requests beside it."""
        return self._connect(self.http.url, self.http.far, self._key)

    async def workers(self) -> list[WorkerRow]:
        """The workers of this node; none if no hive runs. Raises CONNECTION_TIMEOUT."""
        if not self._is_connected:
            return []
        return (await self.http.call(ep.HIVE_WORKERS)).workers

    async def standby(self) -> list[StandbyRow]:
        """The standby workers of this node; none if no hive runs. Raises CONNECTION_TIMEOUT."""
        if not self._is_connected:
            return []
        return (await self.http.call(ep.HIVE_STANDBY)).standby

    async def check_version(self) -> str:
        """The hive's version. Raises VERSION_MISMATCH."""
        health = await self.http.call(ep.HIVE_HEALTH)
        check_hive_version(self.host, health.version)
        return health.version

    # What changes it

    async def ensure_running(self, narrator: Narrator) -> None:
        """Find the node's hive, or start one. Raises why there is none, and SHUTTING_DOWN once
        `close` has begun."""
        async with self._changing:
            self._refuse_if_closing()
            if self.is_running or await self._reconnect():
                return
            await self._disconnect()
            self._observe("wanted")
            self.last_error = None
            try:
                await self._unless_closing(self._find_or_start(narrator.say))
                await self._report_contact()
            except RbeeError as error:
                await self._disconnect()
                self._fail(error)
                raise
            finally:
                if self._state == "starting":
                    self._observe("abandoned")

    async def discover(self, starts_within_s: float | None = None) -> bool:
        """Use the hive if one runs; start none. Whether there is one. Somebody who is starting it
        is waited for `starts_within_s`, by default as long as a look may take."""
        within_s = self._discover_within_s if starts_within_s is None else starts_within_s
        try:
            async with asyncio.timeout(within_s):
                await self._changing.acquire()
        except TimeoutError:  # somebody starts it, which takes long where nothing answers
            return self.is_running
        try:
            closing = self._state == "draining"
            if not self.is_running and not closing and not await self._reconnect():
                await self._unless_closing(self._discover())
            return self.is_running
        finally:
            self._changing.release()

    async def suspect(self) -> None:
        """A call to it timed out: give it up unless it answers now."""
        async with self._changing:
            if self.is_running and not await answers(self.http):
                await self._disconnect()
                self._observe("lost")

    async def stop(self, narrator: Narrator) -> bool:
        """Shut the hive down because a person asks, whoever started it. Whether one ran. Raises
        why it can't be asked, such as CONNECTION_TIMEOUT, and PROGRAM_FAILED if it does not end."""
        async with self._changing:
            self._refuse_if_closing()
            if not self.is_running and not await self._reconnect():
                await self._disconnect()
                url = await self.host.connect(narrator.say)
                await self._use_found(url, narrator.say)
            was_running = self.is_running
            if was_running:
                await self._unless_closing(self._shut_down())
            await self._disconnect()
            self._observe("not_found")
            return was_running

    async def close(self) -> None:
        """Shut the hive down if this queen started it, leave it alone if it was found, and close
        the connection. It can't be used afterwards."""
        self._observe("closing")
        self._work.interrupt()
        async with self._changing:
            await self._end()
            await self.host.close()

    @contextlib.asynccontextmanager
    async def use_host(self) -> AsyncIterator[Host]:
        """The machine, for work beside the hive. Its connection stays open in the block, and is
        closed after it if no hive is behind it."""
        try:
            with self.host.in_use():
                yield self.host
        finally:
            alive = self._process is not None and self._process.is_running
            if not alive and not self.is_running and not self._changing.locked():
                await self.host.close()

    def cut_lifeline(self) -> None:
        """The hive and its workers end at once, without grace."""
        if self._process is not None:
            self._process.cut_lifeline()

    # How

    @property
    def _is_connected(self) -> bool:
        alive = self._process is None or self._process.is_running
        return alive and self._events.is_followed

    @property
    def _known_workers(self) -> Mapping[str, FleetWorker]:
        node = self._fleet.nodes.get(self.node)
        return node.workers if node else {}

    def _observe(self, observation: Observation) -> None:
        self._state = after(self.state, observation)

    def _fail(self, error: RbeeError) -> None:
        self._observe("failed")
        self.last_error = error
        self._tell_contact(error)

    def _refuse_if_closing(self) -> None:
        if self._state == "draining":
            raise ShuttingDown(f"The hive on {self.node} is shutting down.")

    async def _unless_closing(self, work: Coroutine[None, None, None]) -> None:
        """Do `work`, which may take its time, unless `close` is called."""
        if not await self._work.run(work):
            raise ShuttingDown(f"The hive on {self.node} is shutting down.")

    async def _find_or_start(self, say: Say) -> None:
        url = await self.host.connect(say)
        if await self._use_found(url, say):
            return
        self._process, listening, self._key = await self.host.start_hive(say)
        self.broke = None
        self._is_told_gone = False
        check_hive_version(self.host, listening.version)
        self._client = self._connect(*await way_to(self.host, listening.url), self._key)
        self._watching = asyncio.create_task(self._watch(self._process), context=uncorrelated())
        try:
            await self._follow_events()
        except ConnectionTimeout:
            if self.node == LOCAL:
                raise
            raise port_blocked(self.host, "hive", listening.url) from None

    async def _use_found(self, url: str, say: Say) -> bool:
        """Use the hive that answers at `url`, if it may be used; whether there is one."""
        connect = partial(self._connect, *await way_to(self.host, url))
        found = await find_hive(self.host, url, connect, self._owner, self._end_within_s, say)
        if found is None:
            return False
        self._client, self._key = found
        self._is_told_gone = False
        await self._follow_events()
        return True

    async def _discover(self) -> None:
        self.last_error = None
        await self._disconnect()
        try:
            if await self._use_found(await self._connect_quickly(), lambda *_: None):
                await self._report_contact()
                return
            self._observe("not_found")
            self._tell_contact(None)
        except NoHiveError:
            self._observe("not_found")
        except RbeeError as error:
            self._fail(error)
        await self._disconnect()
        await self.host.close()

    async def _shut_down(self) -> None:
        """One that this queen started is killed if it does not end. Its end is told by
        `_watch`, once its process is gone, which is some time after it has stopped answering; and
        here, if even killing it does not end it."""
        is_told = await tell_to_end(self.http)
        is_silent = await wait_for_end(self.http, self._end_within_s)
        if self._process is not None and self._watching is not None:
            code = await self._process.end(self._end_within_s if is_silent else 0)
            await asyncio.wait({self._watching}, timeout=_NOTICED_WITHIN_S)
            self._tell_gone(_how(code))
        elif is_silent:
            self._tell_gone("ended" if is_told else "lost")
        else:
            raise ProgramFailed(
                f"The hive on {self.node} was told to end and still answers at {self.http.url}.",
                program="rbee-hive",
                reason="it does not end",
            )

    async def _connect_quickly(self) -> str:
        within_s = self._discover_within_s
        try:
            async with asyncio.timeout(within_s):
                return await self.host.connect_once()
        except TimeoutError:
            message = f"{self.node} did not answer within {within_s:g} s."
            port = self._config.hive.port
            raise ConnectionTimeout(message, host=self.node, port=port, attempts=1) from None

    async def _follow_events(self) -> None:
        await self._events.follow(self.http, self._config.times.connect_s)
        self._observe("connected")

    async def _reconnect(self) -> bool:
        """Whether the hive that this queen started still answers, though its event stream was lost:
        it is followed again, and its work goes on."""
        process, client = self._process, self._client
        if process is None or not process.is_running or client is None or not await answers(client):
            return False
        with contextlib.suppress(ConnectionTimeout):
            await self._events.follow(self.http, self._config.times.connect_s)
        if self._is_connected:
            self._observe("connected")
        return self.is_running

    async def _end(self) -> None:
        if self._process is not None:
            if self._client is None:  # canceled between its start and its first answer
                self._process.cut_lifeline()
            else:
                await tell_to_end(self._client)
            self._tell_gone(_how(await self._process.end(self._end_within_s)))
        elif self._is_connected:
            self._tell_gone("left")
        await self._disconnect()

    async def _disconnect(self) -> None:
        """Follow nothing, close the client, and kill the hive that this queen started."""
        await self._events.stop()
        if self._watching is not None:
            await stop(self._watching)
            self._watching = None
        if self._client is not None:
            await self._client.close()
            self._client = None
        await self._worker_clients.forget()
        if self._process is not None:
            # Gone, or hung: one that is given up must not live on beside its successor.
            await self._process.kill()
            self._process = None

    def _connect(self, url: str, far: str | None, key: str) -> Client:
        times = self._config.times
        client = Client(url, key, times.connect_s, times.stream_silence_s, far=far)
        self._clients.add(client)
        return client

    async def _watch(self, process: HiveProcess) -> None:
        """When our hive ends, or its connection, nothing of its node is waited for any longer."""
        code = await process.wait()
        for client in list(self._clients):
            client.cut()
        self._events.cancel(has_ended=code is not None)
        if self._state != "draining":
            self._observe("exited")
            if code is None:
                self.broke = f"the connection to {self.node} was lost, and its hive with it"
            else:
                self.broke = f"the hive on {self.node} ended with code {code}"
            level = logging.INFO if code == 0 else logging.WARNING
            _log.log(level, "the hive on %s is gone: %s", self.node, self.broke)
            self._tell_gone(_how(code))

    async def _report_contact(self) -> None:
        if self._on_contact is not None:
            info = await self.http.call(ep.HIVE_NODE, within_s=_CONTACT_WITHIN_S)
            self._on_contact(info)

    def _tell_contact(self, outcome: RbeeError | None) -> None:
        if self._on_contact is not None:
            self._on_contact(outcome)

    def _tell_gone(self, how: _How) -> None:
        """Once for each hive."""
        if self._is_told_gone:
            return
        self._is_told_gone = True
        self._queen_events.send(HiveGone(self.node, how, len(self._known_workers)))
        self._fleet.lost(self.node)


def _how(code: int | None) -> _How:
    return "lost" if code is None else "ended" if code == 0 else "killed"
