"""A worker of a node from its model's name to its model in memory: phases 2 to 7."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.errors import (
    ConnectionTimeout,
    ErrorBody,
    LoadingTimeout,
    PortBlocked,
    RbeeError,
    StreamTruncated,
)
from rbee.contract.events import Event, Loading, Narration
from rbee.contract.models import DownloadRequest
from rbee.contract.registry import LOCAL
from rbee.contract.workers import SpawnRequest, WorkerRow
from rbee.queen.nodes.error_names import with_node_name
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.provision import provide
from rbee.queen.tasks.relay import crashed
from rbee.runtime.cancellation import stop
from rbee.runtime.client import address
from rbee.runtime.event_queue import Outlet
from rbee.runtime.log import correlation_id
from rbee.runtime.narration import Narrator

_QUEEN = "queen-rbee"
_HEARD_WITHIN_S = 3.0
_SPAWNED_WITHIN_S = 120.0


class Startup:
    """Each phase tells what goes on, and is done inside of `heard`. `wanted.model` becomes the name
    under which the node has it, `spawned` is the worker's id once it has one."""

    def __init__(
        self, wanted: SpawnRequest, hive: Hive, outlet: Outlet, max_tokens: int | None = None
    ) -> None:
        """`max_tokens`: of the answer that waits for the worker, if one does."""
        self.wanted = wanted
        self.spawned: str | None = None
        self._hive = hive
        self._outlet = outlet
        self._max_tokens = max_tokens
        self._say = Narrator(outlet.tell, hive.node).say
        self._rows: dict[str, WorkerRow] = {}
        self._heard = asyncio.Event()

    def call_it(self, model: str) -> None:
        """The model has another name there."""
        self.wanted = msgspec.structs.replace(self.wanted, model=model)

    @contextlib.asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        """What the hive tells of this is passed on."""
        with self._hive.events.listen() as coming:
            relay = asyncio.create_task(self._relay(coming))
            try:
                yield
            finally:
                await stop(relay)

    async def provide(self) -> None:
        """Phases 2 and 3, told by the hive where the hive does them."""
        hive, wanted = self._hive.http, self.wanted
        version = await self._hive.check_version()
        self._say(_QUEEN, "🩺", f"pool preflight: rbee-hive {version} is alive at {hive.url}")
        # As it shall run, so that what can't fit is not fetched.
        request = DownloadRequest(
            wanted.model,
            to_run=True,
            backend=wanted.backend,
            device=wanted.device,
            force=wanted.force,
        )
        try:
            provided = await provide(hive, request, self._outlet.tell, self._say)
        except RbeeError as error:
            raise await self._told_before(error) from None
        self.call_it(provided.reference)

    async def spawn(self) -> WorkerRow:
        """Phases 4 to 6: a worker that listens."""
        hive = self._hive.http
        try:
            spawned = await hive.call(ep.HIVE_SPAWN, self.wanted, within_s=_SPAWNED_WITHIN_S)
        except RbeeError as error:
            raise await self._told_before(error) from None
        self.spawned = spawned.worker_id
        row = await self._hear_of(spawned.worker_id, loaded=False)
        if row is None:
            # It listens, or the hive would not have said so, but has not called back.
            rows = await self._hive.workers()
            row = next((found for found in rows if found.id == spawned.worker_id), None)
        if row is None:
            nothing = Loading("loading_to_vram", 0, 0)
            raise await self._why_gone(spawned.worker_id, nothing)
        return row

    async def load(self, worker: WorkerRow) -> WorkerRow:
        """Phase 7, and the hive's word of it."""
        await self.wait_until_loaded(worker)
        return await self._hear_of(worker.id, loaded=True) or worker

    async def wait_until_loaded(self, worker: WorkerRow) -> None:
        """Phase 7."""
        self._say(_QUEEN, "⏳", f"worker health: waiting until {worker.id} is ready")
        last = Loading("loading_to_vram", 0, 0, 0.0)
        try:
            async with (
                await self._hive.client_for(worker.url) as client,
                client.stream(ep.WORKER_LOADING) as events,
            ):
                async for event in events:
                    if isinstance(event, Loading):
                        last = event if event.stage == "loading_to_vram" else last
                        self._outlet.tell(event)
        except (StreamTruncated, ConnectionTimeout) as error:
            if isinstance(error, ConnectionTimeout):
                await check_port(self._hive, worker)
            raise await self._why_gone(worker.id, last) from None
        except RbeeError as error:
            raise self._named(error) from None

    def _named(self, error: RbeeError) -> RbeeError:
        return with_node_name(error, self._hive.node, self.wanted.model)

    async def _told_before(self, error: RbeeError) -> RbeeError:
        """The hive's refusal, once what it told before is here: that comes by another connection,
        and not after the answer to a later question."""
        with contextlib.suppress(RbeeError):
            await self._hive.http.call(ep.HIVE_HEALTH, within_s=_HEARD_WITHIN_S)
        return self._named(error)

    async def _relay(self, coming: AsyncIterator[Event]) -> None:
        """Pass on what the hive tells of this request, and keep what it says of its workers."""
        async for event in coming:
            if isinstance(event, Narration) and event.correlation_id == correlation_id.get():
                self._outlet.tell(msgspec.structs.replace(event, node=self._hive.node))
            elif isinstance(event, WorkerRow):
                self._rows[event.id] = event
                self._heard.set()

    async def _hear_of(self, worker_id: str, loaded: bool) -> WorkerRow | None:
        """Wait until the hive has told of the worker: what it told before has then been relayed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HEARD_WITHIN_S):
                while True:
                    row = self._rows.get(worker_id)
                    if row is not None and not (loaded and row.state == "loading"):
                        break
                    self._heard.clear()
                    await self._heard.wait()
        return self._rows.get(worker_id)

    async def _why_gone(self, worker_id: str, last: Loading) -> RbeeError:
        gone = await self._hive.worker_exit(worker_id)
        if gone is not None and gone.error is not None:
            return self._named(RbeeError.from_body(msgspec.convert(gone.error, ErrorBody)))
        if gone is not None and gone.stalled:
            reached = f"stuck at {last.layers_loaded} of {last.layers_total} layers"
            return LoadingTimeout(
                f"The worker on {self._hive.node} was given up, in the state loading, {reached}: "
                f"{gone.reason}.",
                node=self._hive.node,
                state="loading",
                layers_loaded=last.layers_loaded,
                layers_total=last.layers_total,
            )
        error = crashed(gone, worker_id, self._hive.node, 0, self._max_tokens or 0)
        if self._max_tokens is None:
            why = gone.reason if gone else "its connection broke"
            node = self._hive.node
            error.message = f"The worker {worker_id} on {node} ended before it was ready: {why}."
        return error


async def check_port(hive: Hive, worker: WorkerRow) -> None:
    """Raises PORT_BLOCKED for a worker of another machine that does not answer here, while its hive
    has it."""
    if hive.node == LOCAL:
        return
    rows = []
    with contextlib.suppress(RbeeError):
        rows = await hive.workers()
    if any(row.id == worker.id and row.state != "unhealthy" for row in rows):
        host, port = address(worker.url)
        raise PortBlocked(
            f"The worker on {hive.node} runs, but its port {port} can't be reached.",
            host=host,
            port=port,
        )
