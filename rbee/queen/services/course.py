"""One task's course through its eight phases, from the registry to the last token."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.errors import (
    ConnectionTimeout,
    ErrorBody,
    ErrorEnvelope,
    LoadingTimeout,
    PortBlocked,
    RbeeError,
    ShuttingDown,
    StreamTruncated,
)
from rbee.contract.events import Event, Loading, Narration
from rbee.contract.model_ref import ModelRef
from rbee.contract.models import DownloadRequest, ModelName
from rbee.contract.registry import LOCAL
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import SpawnRequest, WorkerRow
from rbee.queen.core.naming import named
from rbee.queen.core.placement import match
from rbee.queen.services.hive import Hive
from rbee.queen.services.inference import Inference, crashed
from rbee.queen.services.outlet import Outlet
from rbee.queen.services.provision import provide
from rbee.queen.services.queue import Queue
from rbee.runtime.client import address
from rbee.runtime.log import correlation_id
from rbee.runtime.narration import Narrator
from rbee.runtime.retry import doubling
from rbee.runtime.tasks import stop

_QUEEN = "queen-rbee"
_HEARD_WITHIN_S = 3.0
_TRIES = 3
_FIRST_PAUSE_S = 0.2


class Course:
    """Runs once, as a task that can be canceled at any point."""

    def __init__(
        self,
        request_id: str,
        request: TaskRequest,
        model: ModelRef,
        hive: Hive,
        queue: Queue,
        outlet: Outlet,
    ) -> None:
        self.outlet = outlet
        self._request_id = request_id
        self._request = request
        self._model = str(model)
        self._of_repository = model.scheme == "hf"
        self._hive = hive
        self._queue = queue
        self._narrator = Narrator(self.outlet.tell, hive.node)
        self._say = self._narrator.say
        self._rows: dict[str, WorkerRow] = {}
        self._heard = asyncio.Event()
        self._left: set[str] = set()

    async def run(self) -> None:
        """All phases. A worker that goes before its first token is not the end: another is found
        or started, up to three times in all."""
        for turn, pause in enumerate(doubling(_FIRST_PAUSE_S, _TRIES), start=1):
            await asyncio.sleep(pause)
            await self._hive.up(self._narrator)
            try:
                worker = await self._worker()
            except ConnectionTimeout as error:
                if turn == _TRIES:
                    error.details["attempts"] = turn
                    raise
                self._hive.doubt()
                continue
            inference = Inference(
                self._request_id, self._request, worker, self._hive, self._queue, self.outlet
            )
            self._say(_QUEEN, "💬", f"inference: {self._model} answers on {self._hive.node}")
            try:
                await inference.run()
                return
            except (ConnectionTimeout, ShuttingDown) as error:
                if isinstance(error, ConnectionTimeout):
                    await self._check_port(worker)
                if turn == _TRIES or inference.tokens:
                    node, wanted = self._hive.node, self._request.max_tokens
                    why = error.message.rstrip(".")
                    raise crashed(None, worker.id, node, inference.tokens, wanted, why) from None
                self._left.add(worker.id)
                self._say(_QUEEN, "🔁", f"{worker.id} has just gone: looking again")

    async def _worker(self) -> WorkerRow:
        """Phases 1 to 7: a worker that is loaded, found or started."""
        with self._hive.news.events.listen() as coming:
            relay = asyncio.create_task(self._relay(coming))
            try:
                worker = await self._find()
                found = worker is not None
                if worker is None:
                    # A download may take hours: it holds up nobody else.
                    await self._provide()
                    worker = await self._place()
                if not found or worker.state == "loading":
                    await self._wait_until_loaded(worker)
                if not found:
                    await self._hear_of(worker.id, loaded=True)
                return worker
            finally:
                await stop(relay)

    async def _match(self) -> WorkerRow | None:
        rows = [row for row in await self._hive.rows() if row.id not in self._left]
        if self._of_repository and rows:
            # Workers have the name of the file; a repository or a quantization means one.
            known = await self._hive.own.call(ep.HIVE_RESOLVE, ModelName(self._model))
            self._model = known.reference or self._model
        return match(rows, self._model, self._request.backend, self._request.device)

    async def _find(self) -> WorkerRow | None:
        """Phase 1."""
        worker = await self._match()
        if worker is None:
            told = f"no worker on {self._hive.node} holds {self._model}"
            self._say(_QUEEN, "🔎", f"worker registry: {told}")
            return None
        self._say(_QUEEN, "🔎", f"worker registry: {worker.id} holds {self._model}, {worker.state}")
        skipped = [
            "pool preflight",
            "model provisioning",
            "worker preflight",
            "worker startup",
            "registration",
            *(["worker health"] if worker.state != "loading" else []),
        ]
        self._say(_QUEEN, "⏭️", f"skipped: {', '.join(skipped)}")
        return worker

    async def _provide(self) -> None:
        """Phases 2 and 3, told by the hive where the hive does them."""
        hive = self._hive.own
        version = await self._hive.check_version()
        self._say(_QUEEN, "🩺", f"pool preflight: rbee-hive {version} is alive at {hive.url}")
        try:
            provided = await provide(hive, self._wanted(), self.outlet.tell, self._say)
        except RbeeError as error:
            raise await self._told_before(error) from None
        self._model = provided.reference

    def _wanted(self) -> DownloadRequest:
        """The model as it shall run, so that what can't fit is not fetched."""
        request = self._request
        return DownloadRequest(
            self._model,
            to_run=True,
            backend=request.backend,
            device=request.device,
            force=request.force,
        )

    async def _place(self) -> WorkerRow:
        """Phases 4 to 6, one request of a node after the other: two that want the same model get
        one worker."""
        if self._hive.placing.locked():
            self._say(_QUEEN, "⏱️", "waiting for a worker that another request starts")
        async with self._hive.placing:
            return await self._match() or await self._spawn()

    async def _told_before(self, error: RbeeError) -> RbeeError:
        """The hive's refusal, once what it told before is here: that comes by another connection,
        and not after the answer to a later question."""
        with contextlib.suppress(RbeeError):
            await self._hive.own.call(ep.HIVE_HEALTH, within_s=_HEARD_WITHIN_S)
        return named(error, self._hive.node, self._model)

    async def _spawn(self) -> WorkerRow:
        hive, request = self._hive.own, self._request
        try:
            wanted = SpawnRequest(self._model, request.backend, request.device, force=request.force)
            spawned = await hive.call(ep.HIVE_SPAWN, wanted, within_s=120.0)
        except RbeeError as error:
            raise await self._told_before(error) from None
        row = await self._hear_of(spawned.worker_id, loaded=False)
        if row is None:
            # It listens, or the hive would not have said so, but has not called back.
            rows = await self._hive.rows()
            row = next((found for found in rows if found.id == spawned.worker_id), None)
        if row is None:
            nothing = Loading("loading_to_vram", 0, 0)
            raise await self._why_gone(spawned.worker_id, nothing)
        return row

    async def _wait_until_loaded(self, worker: WorkerRow) -> None:
        """Phase 7."""
        self._say(_QUEEN, "⏳", f"worker health: waiting until {worker.id} is ready")
        last = Loading("loading_to_vram", 0, 0, 0.0)
        try:
            async with (
                await self._hive.client(worker.url) as client,
                client.stream(ep.WORKER_LOADING) as events,
            ):
                async for event in events:
                    if isinstance(event, ErrorEnvelope):
                        raise named(RbeeError.from_body(event.error), self._hive.node, self._model)
                    if isinstance(event, Loading):
                        last = event if event.stage == "loading_to_vram" else last
                        self.outlet.tell(event)
        except (StreamTruncated, ConnectionTimeout) as error:
            if isinstance(error, ConnectionTimeout):
                await self._check_port(worker)
            raise await self._why_gone(worker.id, last) from None

    async def _check_port(self, worker: WorkerRow) -> None:
        """Raises PORT_BLOCKED for a worker of another machine that does not answer here, while its
        hive has it."""
        if self._hive.node == LOCAL:
            return
        rows = []
        with contextlib.suppress(RbeeError):
            rows = await self._hive.rows()
        if any(row.id == worker.id and row.state != "unhealthy" for row in rows):
            host, port = address(worker.url)
            raise PortBlocked(
                f"The worker on {self._hive.node} runs, but its port {port} can't be reached.",
                host=host,
                port=port,
            )

    async def _relay(self, coming: AsyncIterator[Event]) -> None:
        """Pass on what the hive tells of this task, and keep what it says of its workers."""
        async for event in coming:
            if isinstance(event, Narration) and event.correlation_id == correlation_id.get():
                self.outlet.tell(msgspec.structs.replace(event, node=self._hive.node))
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
        gone = await self._hive.news.gone(worker_id)
        if gone is not None and gone.error is not None:
            error = RbeeError.from_body(msgspec.convert(gone.error, ErrorBody))
            return named(error, self._hive.node, self._model)
        if gone is not None and gone.stalled:
            return LoadingTimeout(
                node=self._hive.node,
                state="loading",
                layers_loaded=last.layers_loaded,
                layers_total=last.layers_total,
            )
        return crashed(gone, worker_id, self._hive.node, 0, self._request.max_tokens)
