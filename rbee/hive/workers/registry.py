"""The registry of workers: in memory only, changed only here."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from pathlib import Path

from rbee.contract.config import Config
from rbee.contract.errors import InvalidRequest, ModelCorrupt, NotFound, ShuttingDown
from rbee.contract.events import Event
from rbee.contract.workers import (
    LoadedModel,
    ReadyCallback,
    SpawnReply,
    SpawnRequest,
    WorkerGone,
    WorkerRow,
)
from rbee.gguf.file_changes import FileChanges
from rbee.gguf.header import Header, context_length
from rbee.gguf.memory import required_bytes
from rbee.gguf.reader import read
from rbee.hive.hardware.preflight import DeviceRequest, Preflight
from rbee.hive.models.provisioner import Provisioner
from rbee.hive.models.stored_models import StoredModel
from rbee.hive.workers import worker_logs
from rbee.hive.workers.launch import Launcher, WorkerSpec
from rbee.hive.workers.worker_process import NOBODY_WAITS, WorkerProcess
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.concurrency import finish, go_on, in_thread
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.log import correlation_id
from rbee.runtime.narration import Narrator

_log = logging.getLogger("rbee-hive")


class Workers:
    """Starts workers, knows them, and ends them all."""

    def __init__(
        self,
        config: Config,
        lifecycle: Lifecycle,
        launcher: Launcher,
        preflight: Preflight,
        provisioner: Provisioner,
        events: Broadcast[Event],
    ) -> None:
        self._config = config
        self._lifecycle = lifecycle
        self._launcher = launcher
        self._preflight = preflight
        self._provisioner = provisioner
        self._events = events
        self._say = Narrator(events.send).say
        self._workers: dict[str, WorkerProcess] = {}
        # Workers that are being started, by whether they have called back already.
        self._starting: dict[str, bool] = {}
        self._spawning: set[asyncio.Task[WorkerProcess]] = set()
        # Files of workers that are being started.
        self._wanted: Counter[Path] = Counter()

    def rows(self) -> list[WorkerRow]:
        """Every worker that is registered and has not begun to end."""
        return [
            worker.row()
            for worker in self._workers.values()
            if worker.registered and not worker.is_ending
        ]

    def loaded(self) -> list[LoadedModel]:
        """What each of them has in memory, or is loading."""
        return [
            worker.loaded()
            for worker in self._workers.values()
            if worker.registered and not worker.is_ending
        ]

    def files(self) -> dict[str, Path]:
        """The models that they have, each with its file."""
        specs = (worker.spec for worker in self._workers.values())
        return {spec.model_ref: Path(spec.file) for spec in specs}

    def is_busy(self) -> bool:
        """Whether a worker is being started, loads, or answers."""
        return bool(self._spawning) or any(row.state in ("loading", "busy") for row in self.rows())

    def holding(self, path: Path) -> list[str]:
        """The workers that have this file in memory, or are about to load it."""
        holding = [name for name, worker in self._workers.items() if worker.has_loaded(path)]
        return holding or (["a worker that is starting"] if self._wanted[path] else [])

    async def spawn(self, request: SpawnRequest) -> SpawnReply:
        """Start a worker and reply when it listens."""
        worker = await self.start(request)
        return SpawnReply(worker.spec.worker_id, worker.row().url, "loading")

    async def start(self, request: SpawnRequest) -> WorkerProcess:
        """Check, start, and return the worker when it listens; it loads after that. A model that
        is not on this node is fetched first."""
        model = await self._provisioner.provide(request)
        self._wanted[model.path] += 1
        work = asyncio.create_task(self._start(request, model))
        self._spawning.add(work)
        try:
            return await work
        except asyncio.CancelledError:
            if self._lifecycle.draining.is_set():
                raise ShuttingDown("The hive is shutting down.") from None
            # Canceled in the moment between its start and its handing over.
            if work.done() and not work.cancelled() and work.exception() is None:
                await finish(work.result().end(NOBODY_WAITS))
            raise
        finally:
            self._spawning.discard(work)
            self._wanted[model.path] -= 1

    async def _start(self, request: SpawnRequest, model: StoredModel) -> WorkerProcess:
        header = await self._read_header(model)
        files = await in_thread(FileChanges, header.files)
        backend, device = await self._check(request, model, header)
        context = self._context(request, header)
        # The pages of a mapped file count as free, though they are in memory.
        is_mapped = backend == "cpu" and self._config.worker.mmap
        spec = WorkerSpec(
            worker_id=f"worker-{uuid.uuid4()}",
            model_ref=str(model.reference),
            file=str(model.path),
            backend=backend,
            device=device,
            slots=request.slots or self._config.worker.slots,
            correlation_id=correlation_id.get(),
            context=request.context,
            is_hash_known=model.row is not None and model.row.sha256 is not None,
            memory_bytes=header.size_bytes + header.kv_bytes(context),
            frees_bytes=header.kv_bytes(context) + (0 if is_mapped else header.size_bytes),
            context_in_use=context,
        )
        self._say("rbee-hive", "🚀", f"worker startup: starting {spec.worker_id} on {backend}")
        await in_thread(worker_logs.prune)
        self._starting[spec.worker_id] = False
        try:
            launched = await self._launcher.launch(spec)
            worker = WorkerProcess(spec, launched, self._config, self._report, files)
            self._workers[spec.worker_id] = worker
        finally:
            called_back = self._starting.pop(spec.worker_id)
        if called_back:
            worker.register()
        return worker

    def register(self, callback: ReadyCallback) -> None:
        """Take a worker's ready callback. Raises NOT_FOUND for one that this hive did not start."""
        if callback.worker_id in self._starting:
            self._starting[callback.worker_id] = True
            return
        worker = self._workers.get(callback.worker_id)
        if worker is None:
            message = f"This hive started no worker {callback.worker_id}"
            raise NotFound.of("worker_id", "a worker of this hive", message, callback.worker_id)
        worker.register()

    async def end(self, worker_id: str, only_if_idle: bool = False) -> None:
        """End one worker in order. Raises NOT_FOUND, and MODEL_IN_USE with `only_if_idle`."""
        worker = self._workers.get(worker_id)
        if worker is None:
            message = f"There is no worker {worker_id} on this node"
            raise NotFound.of("worker_id", "a worker of this hive", message, worker_id)
        if only_if_idle:
            await worker.end_if_idle("it was idle, and its memory was wanted")
        else:
            await worker.end("it was told to end")
        await worker.gone

    async def end_all(self) -> None:
        """End every worker, all at once; without grace as soon as the shutdown is cut short. A
        start that is under way is canceled."""
        for work in self._spawning:
            work.cancel()
        if self._spawning:
            await asyncio.wait(self._spawning)
        workers = list(self._workers.values())
        if workers:
            what = "1 worker" if len(workers) == 1 else f"{len(workers)} workers"
            self._say("rbee-hive", "🛑", f"shutdown: ending {what}")
        cutting = asyncio.create_task(self._cut_short(workers))
        await asyncio.gather(*(worker.end("the hive ends") for worker in workers))
        await asyncio.gather(*(worker.gone for worker in workers))
        cutting.cancel()

    async def _cut_short(self, workers: list[WorkerProcess]) -> None:
        await self._lifecycle.cut.wait()
        for worker in workers:
            worker.cut_lifeline()

    async def _read_header(self, model: StoredModel) -> Header:
        """Raises MODEL_CORRUPT, with the reference if the file can be fetched again."""
        try:
            return await in_thread(read, model.path, go_on)
        except ModelCorrupt as error:
            reference = self._provisioner.inventory.folder.reference(model.path)
            if reference.scheme == "hf":
                error.details["model"] = str(reference)
            raise

    async def _check(
        self, request: SpawnRequest, model: StoredModel, header: Header
    ) -> tuple[str, int]:
        """Check memory, then the backend; the backend and the device to start on."""
        most = header.context_length
        if request.context is not None and request.context > most:
            message = f"{model.reference} was trained for contexts of at most {most} tokens"
            raise InvalidRequest.of(
                "context",
                f"at most {most}",
                message,
                request.context,
                hint=f"Use --context {most}, or less.",
            )
        kv = header.kv_bytes(self._context(request, header))

        async def find_fitting(free: int) -> str | None:
            return await self._provisioner.largest_fitting(model, kv, free)

        wanted = DeviceRequest(request.backend, request.device, request.force)
        needed = required_bytes(header.size_bytes, kv)
        device = await self._preflight.memory_device(wanted, needed)
        await self._preflight.check_memory(wanted, device, header.size_bytes, kv, find_fitting)
        return await self._preflight.backend_and_device(wanted, device)

    def _context(self, request: SpawnRequest, header: Header) -> int:
        """In tokens: as asked for, or configured, or by default."""
        wanted = request.context or self._config.worker.context
        return context_length(wanted, header.context_length)

    def _report(self, event: Event) -> None:
        if isinstance(event, WorkerGone):
            del self._workers[event.worker_id]
            self._preflight.expect_memory()
            _log.info("%s is gone: %s", event.worker_id, event.reason)
            if event.exit_code != 0:
                for line in event.log_tail:
                    _log.warning("%s said: %s", event.worker_id, line)
        self._events.send(event)
