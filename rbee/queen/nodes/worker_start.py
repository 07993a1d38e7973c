"""A worker of a node, from its model's name to its model in memory: phases 2 to 7."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.errors import (
    ConnectionTimeout,
    ErrorBody,
    LoadingTimeout,
    RbeeError,
    ShuttingDown,
    StreamSilent,
    StreamTruncated,
    WorkerCrashed,
)
from rbee.contract.events import Event, Loading
from rbee.contract.models import DownloadRequest
from rbee.contract.registry import LOCAL
from rbee.contract.workers import SpawnRequest, WorkerGone, WorkerRow
from rbee.queen.nodes import hive_requests
from rbee.queen.nodes.error_names import with_node_name
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.hosts import port_blocked
from rbee.runtime.event_queue import EventQueue
from rbee.runtime.narration import Narrator

_QUEEN = "queen-rbee"
BROKE = "its connection broke"


class WorkerStart:
    """Each phase narrates itself into `events`. `wanted.model` becomes the name under which the
    node has the model; `worker_id` is set as soon as there is a worker."""

    def __init__(self, wanted: SpawnRequest, hive: Hive, events: EventQueue) -> None:
        self.wanted = wanted
        self.worker_id: str | None = None
        self._hive = hive
        self._events = events
        self._say = Narrator(events.put_nowait, hive.node).say
        self._last = Loading("loading_to_vram", 0, 0, 0.0)

    async def provide_model(self) -> None:
        """Phases 2 and 3."""
        version = await self._hive.check_version()
        alive = f"rbee-hive {version} is alive at {self._hive.http.url}"
        self._say(_QUEEN, "🩺", f"pool preflight: {alive}")
        # As it shall run, so that a model that can't fit is not fetched.
        request = DownloadRequest(
            self.wanted.model,
            to_run=True,
            backend=self.wanted.backend,
            device=self.wanted.device,
            force=self.wanted.force,
        )
        try:
            reply = await hive_requests.fetch_model(self._hive, request, self._events)
        except RbeeError as error:
            raise self._named(error) from None
        self.wanted = msgspec.structs.replace(self.wanted, model=reply.reference)

    async def spawn(self) -> AsyncGenerator[WorkerRow, None]:
        """Phases 4 to 7: the worker's row when it listens, and again when it is loaded."""
        answer = hive_requests.ask(self._hive, ep.HIVE_SPAWN, self.wanted, self._events)
        loaded = False
        try:
            async with contextlib.aclosing(answer):
                async for event in answer:
                    if not isinstance(event, WorkerRow):
                        self._hear(event)
                        continue
                    listens, self.worker_id = self.worker_id is None, event.id
                    loaded = event.state != "loading"
                    yield event
                    if listens and not loaded:
                        self._say_waiting(event)
                        await self._check_connection(event)
            if not loaded:
                raise StreamTruncated("The hive did not say how the start ended.", tokens=0)
        except StreamTruncated as error:
            if self.worker_id is None:
                raise self._named(error) from None
            raise await self._why_gone(self.worker_id) from None
        except RbeeError as error:
            raise self._named(error) from None

    async def wait_until_loaded(self, worker: WorkerRow) -> None:
        """Phase 7 of a worker that another request starts."""
        self._say_waiting(worker)
        try:
            async with (
                await self._hive.client_for(worker.url) as client,
                client.stream(ep.WORKER_LOADING) as events,
            ):
                async for event in events:
                    self._hear(event)
        except (StreamTruncated, ConnectionTimeout) as error:
            if isinstance(error, ConnectionTimeout):
                await check_port(self._hive, worker)
            raise await self._why_gone(worker.id, why_lost(error, self._hive)) from None
        except RbeeError as error:
            raise self._named(error) from None

    async def _check_connection(self, worker: WorkerRow) -> None:
        """Raises PORT_BLOCKED now, and not after a load that may take minutes."""
        if self._hive.node == LOCAL:
            return
        try:
            async with (
                await self._hive.client_for(worker.url) as client,
                client.stream(ep.WORKER_LOADING),
            ):
                pass
        except ConnectionTimeout:
            await check_port(self._hive, worker)
        except RbeeError:
            pass  # its hive says what is wrong

    def _say_waiting(self, worker: WorkerRow) -> None:
        self._say(_QUEEN, "⏳", f"worker health: waiting until {worker.id} is ready")

    def _hear(self, event: Event) -> None:
        """Pass on the load. Raises the error of a worker that ended."""
        if isinstance(event, Loading):
            self._last = event if event.stage == "loading_to_vram" else self._last
            self._events.put_nowait(event)
        elif isinstance(event, WorkerGone):
            raise self._ended(event.worker_id, event)

    def _named(self, error: RbeeError) -> RbeeError:
        return with_node_name(error, self._hive.node, self.wanted.model)

    async def _why_gone(self, worker_id: str, why: str = BROKE) -> RbeeError:
        return self._ended(worker_id, await self._hive.worker_exit(worker_id), why)

    def _ended(self, worker_id: str, gone: WorkerGone | None, why: str = BROKE) -> RbeeError:
        node = self._hive.node
        if self._hive.state == "draining":
            return ShuttingDown(f"The hive on {node} is shutting down.")
        if gone is not None and gone.error is not None:
            return self._named(RbeeError.from_body(msgspec.convert(gone.error, ErrorBody)))
        if gone is not None and gone.stalled:
            last = self._last
            reached = f"stuck at {last.layers_loaded} of {last.layers_total} layers"
            return LoadingTimeout(
                f"The worker on {node} was given up, in the state loading, {reached}: "
                f"{gone.reason}.",
                node=node,
                state="loading",
                layers_loaded=last.layers_loaded,
                layers_total=last.layers_total,
            )
        return crashed(self._hive, worker_id, "before it was ready", why, gone)


def why_lost(error: RbeeError, hive: Hive) -> str:
    """Why a worker was lost whose stream ended so, unless its hive knows better."""
    silent = isinstance(error, StreamSilent)
    return f"it was silent for {hive.silence_s:g} s" if silent else BROKE


def crashed(
    hive: Hive,
    worker_id: str,
    when: str,
    why: str,
    gone: WorkerGone | None,
    *,
    tokens: int = 0,
    max_tokens: int = 0,
) -> WorkerCrashed:
    """The error for a worker that ended, or was lost. `gone` is what its hive said of its end;
    without it, the end of the hive is the reason, or else `why`."""
    node = hive.node
    fate = "ended" if gone or hive.broke else "was lost"
    reason = gone.reason if gone else hive.broke or why
    # `logs` asks the hive.
    without_hive = {} if gone or hive.broke is None else {"hive": False}
    return WorkerCrashed(
        f"The worker {worker_id} on {node} {fate} {when}: {reason}.",
        worker_id=worker_id,
        node=node,
        tokens=tokens,
        max_tokens=max_tokens,
        log_tail=gone.log_tail if gone else hive.last_lines.of(worker_id),
        **without_hive,
    )


async def check_port(hive: Hive, worker: WorkerRow) -> None:
    """Raises PORT_BLOCKED for a worker of another machine that did not answer here, if its hive
    still has it."""
    if hive.node == LOCAL:
        return
    rows = []
    with contextlib.suppress(RbeeError):
        rows = await hive.workers()
    if any(row.id == worker.id and row.state != "unhealthy" for row in rows):
        raise port_blocked(hive.host, "worker", worker.url)
