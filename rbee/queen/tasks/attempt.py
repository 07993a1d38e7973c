"""One task's course through its eight phases, from the registry to the last token."""

from __future__ import annotations

import asyncio

from rbee.contract import endpoints as ep
from rbee.contract.errors import ConnectionTimeout, ShuttingDown
from rbee.contract.model_ref import ModelRef
from rbee.contract.models import ModelName
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import SpawnRequest, WorkerRow
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.worker_start import Startup, check_port
from rbee.queen.tasks.placement import match
from rbee.queen.tasks.queue import Queue
from rbee.queen.tasks.relay import Inference, crashed
from rbee.runtime.event_queue import Outlet
from rbee.runtime.narration import Narrator
from rbee.runtime.retry import doubling

_QUEEN = "queen-rbee"
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
        self._of_repository = model.scheme == "hf"
        self._hive = hive
        self._queue = queue
        self._narrator = Narrator(self.outlet.tell, hive.node)
        self._say = self._narrator.say
        wanted = SpawnRequest(str(model), request.backend, request.device, force=request.force)
        self._startup = Startup(wanted, hive, outlet, request.max_tokens)
        self._left: set[str] = set()

    async def run(self) -> None:
        """All phases. A worker that goes before its first token is not the end: another is found
        or started, up to three times in all."""
        for turn, pause in enumerate(doubling(_FIRST_PAUSE_S, _TRIES), start=1):
            await asyncio.sleep(pause)
            await self._hive.ensure_running(self._narrator)
            try:
                worker = await self._worker()
            except ConnectionTimeout as error:
                if turn == _TRIES:
                    error.details["attempts"] = turn
                    raise
                await self._hive.suspect()
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
                    await check_port(self._hive, worker)
                if turn == _TRIES or inference.tokens:
                    node, wanted = self._hive.node, self._request.max_tokens
                    why = error.message.rstrip(".")
                    raise crashed(None, worker.id, node, inference.tokens, wanted, why) from None
                self._left.add(worker.id)
                self._say(_QUEEN, "🔁", f"{worker.id} has just gone: looking again")

    async def _worker(self) -> WorkerRow:
        """Phases 1 to 7: a worker that is loaded, found or started."""
        async with self._startup.heard():
            worker = await self._find()
            if worker is None:
                # A download may take hours: it holds up nobody else.
                await self._startup.provide()
                return await self._startup.load(await self._place())
            if worker.state == "loading":
                await self._startup.wait_until_loaded(worker)
            return worker

    @property
    def _model(self) -> str:
        return self._startup.wanted.model

    async def _match(self) -> WorkerRow | None:
        rows = [row for row in await self._hive.workers() if row.id not in self._left]
        if self._of_repository and rows:
            # Workers have the name of the file; a repository or a quantization means one.
            known = await self._hive.http.call(ep.HIVE_RESOLVE, ModelName(self._model))
            self._startup.call_it(known.reference or self._model)
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

    async def _place(self) -> WorkerRow:
        """Phases 4 to 6, one request of a node after the other: two that want the same model get
        one worker."""
        if self._hive.worker_start_lock.locked():
            self._say(_QUEEN, "⏱️", "waiting for a worker that another request starts")
        async with self._hive.worker_start_lock:
            return await self._match() or await self._startup.spawn()
