"""The registry of workers: in memory only, changed only here."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from pathlib import Path

from rbee.contract.config import Config
from rbee.contract.daemons import Hello
from rbee.contract.errors import AddressInUse, Internal, ModelCorrupt, NotFound, ShuttingDown
from rbee.contract.events import Event
from rbee.contract.workers import ReadyCallback, SpawnReply, SpawnRequest, WorkerGone, WorkerRow
from rbee.gguf.header import Header, context_length
from rbee.gguf.reader import read
from rbee.hive.hardware.preflight import DeviceRequest, Preflight
from rbee.hive.models.provisioner import Provisioner
from rbee.hive.models.stored_models import StoredModel
from rbee.hive.workers import worker_logs as logs
from rbee.hive.workers.worker_process import Plan, Supervised
from rbee.runtime import bind, child, paths
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.client import Client, address
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.log import correlation_id
from rbee.runtime.narration import Narrator

_FIRST_PORT, _PORTS = 8001, 200
_log = logging.getLogger("rbee-hive")


class Workers:
    """Starts workers, knows them, and ends them all."""

    def __init__(
        self,
        config: Config,
        life: Lifecycle,
        key: str,
        preflight: Preflight,
        provisioner: Provisioner,
        events: Broadcast[Event],
    ) -> None:
        self._config = config
        self._life = life
        self._key = key
        self._preflight = preflight
        self._provisioner = provisioner
        self._events = events
        self._workers: dict[str, Supervised] = {}
        self._ports: set[int] = set()
        # Workers that are being started, by whether they have called back already.
        self._starting: dict[str, bool] = {}
        self._spawning: set[asyncio.Task[SpawnReply]] = set()
        # Files of workers that are being started.
        self._wanted: Counter[Path] = Counter()
        self._say = Narrator(events.send).say
        self._command = worker_command(config)

    def rows(self) -> list[WorkerRow]:
        """Every worker that listens and has not begun to end."""
        return [worker.row() for worker in self._workers.values() if not worker.is_ending]

    def holding(self, path: Path) -> list[str]:
        """The workers that have this file in memory, or are about to load it."""
        holding = [name for name, worker in self._workers.items() if worker.plan.file == str(path)]
        return holding or (["a worker that is just starting"] if self._wanted[path] else [])

    async def spawn(self, request: SpawnRequest) -> SpawnReply:
        """Check, start, and reply when the worker listens; it loads behind that. A model that is
        not here is fetched first."""
        model = await self._provisioner.provide(request)
        self._wanted[model.path] += 1
        work = asyncio.create_task(self._spawn(request, model))
        self._spawning.add(work)
        try:
            return await work
        except asyncio.CancelledError:
            if self._life.draining.is_set():
                raise ShuttingDown("The hive is shutting down.") from None
            raise
        finally:
            self._spawning.discard(work)
            self._wanted[model.path] -= 1

    async def _spawn(self, request: SpawnRequest, model: StoredModel) -> SpawnReply:
        path = model.path
        try:
            header = await asyncio.to_thread(read, path)
        except ModelCorrupt as error:
            known = self._provisioner.inventory.folder.reference(path)
            if known.scheme == "hf":
                error.details["model"] = str(known)
            raise
        backend, device = await self._check(request, model, header)
        plan = Plan(
            worker_id=f"worker-{uuid.uuid4()}",
            model_ref=str(model.reference),
            file=str(path),
            backend=backend,
            device=device,
            slots=request.slots or self._config.worker.slots,
            correlation_id=correlation_id.get(),
        )
        self._say("rbee-hive", "🚀", f"worker startup: starting {plan.worker_id} on {backend}")
        await asyncio.to_thread(logs.prune)
        self._starting[plan.worker_id] = False
        try:
            worker = await self._start(plan, path, request.context)
        finally:
            called_back = self._starting.pop(plan.worker_id)
        if called_back:
            self._register(worker)
        return SpawnReply(plan.worker_id, worker.row().url, "loading")

    def register(self, callback: ReadyCallback) -> None:
        """A worker calls back. Raises NOT_FOUND for one that this hive did not start."""
        if callback.worker_id in self._starting:
            self._starting[callback.worker_id] = True
            return
        worker = self._workers.get(callback.worker_id)
        if worker is None:
            told = f"This hive started no worker {callback.worker_id}"
            raise NotFound.of("worker_id", "a worker of this hive", told, callback.worker_id)
        self._register(worker)

    async def end(self, worker_id: str) -> None:
        """End one worker in order. Raises NOT_FOUND."""
        worker = self._workers.get(worker_id)
        if worker is None:
            told = f"There is no worker {worker_id} on this node"
            raise NotFound.of("worker_id", "a worker of this hive", told, worker_id)
        await worker.end("it was told to end")
        await worker.gone

    async def end_all(self) -> None:
        """End every worker, all at once; without grace as soon as the end is cut short. One that is
        just starting has nothing to end in order."""
        for work in self._spawning:
            work.cancel()
        if self._spawning:
            await asyncio.wait(self._spawning)
        workers = list(self._workers.values())
        if workers:
            self._say("rbee-hive", "🛑", f"shutdown: ending {len(workers)} worker(s)")
        cutting = asyncio.create_task(self._cut(workers))
        await asyncio.gather(*(worker.end("the hive ends") for worker in workers))
        await asyncio.gather(*(worker.gone for worker in workers))
        cutting.cancel()

    def _register(self, worker: Supervised) -> None:
        if not worker.registered:
            correlation_id.set(worker.plan.correlation_id)
            where = worker.row().url
            self._say("rbee-hive", "📝", f"registration: {worker.plan.worker_id} at {where}")
            worker.register()

    async def _cut(self, workers: list[Supervised]) -> None:
        await self._life.cut.wait()
        for worker in workers:
            worker.let_go()

    async def _check(
        self, request: SpawnRequest, model: StoredModel, header: Header
    ) -> tuple[str, int]:
        """Memory, then the backend; the backend and the device to start on."""
        asked = request.context or self._config.worker.context
        kv = header.kv_bytes(context_length(asked, header.context_length))

        async def smaller(free: int) -> str | None:
            return await self._provisioner.largest_fitting(model, kv, free)

        wish = DeviceRequest(request.backend, request.device, request.force)
        place = await self._preflight.memory_device(wish)
        await self._preflight.check_memory(wish, place, header.size_bytes, kv, smaller)
        return await self._preflight.backend_and_device(wish, place)

    async def _start(self, plan: Plan, path: Path, context: int | None) -> Supervised:
        arguments = _arguments(plan, path, context, self._life.own_url)
        told = self._life.hello
        announce = told.announce if told else None
        mark = plan.correlation_id
        hello = Hello(self._key, child.owner("rbee-hive"), announce=announce, correlation_id=mark)
        host = self._config.hive.worker_host or address(self._life.own_url)[0]
        if told and told.bind:
            host = told.bind
        for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS):
            if port in self._ports or not bind.is_free(host, port):
                continue
            self._ports.add(port)
            command = [*self._command, *arguments, "--host", host, "--port", str(port)]
            try:
                running, listening = await child.start(command, hello)
            except AddressInUse:  # somebody was faster
                continue
            finally:
                self._ports.discard(port)
            if self._life.draining.is_set():
                running.lifeline.close()
                await running.end(self._config.times.grace_s)
                raise ShuttingDown("The hive is shutting down.")
            client = self._client(bind.url(host, address(listening.url)[1]))
            worker = Supervised(plan, running, listening.url, client, self._config, self._hear)
            self._workers[plan.worker_id] = worker
            return worker
        raise Internal(
            f"No port from {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1} is free on {host}.",
            correlation_id=plan.correlation_id,
        )

    def _client(self, url: str) -> Client:
        times = self._config.times
        return Client(url, self._key, times.connect_s, times.stream_silence_s)

    def _hear(self, event: Event) -> None:
        if isinstance(event, WorkerGone):
            del self._workers[event.worker_id]
            _log.info("%s is gone: %s", event.worker_id, event.reason)
            if event.exit_code != 0:
                for line in event.log_tail:
                    _log.warning("%s said: %s", event.worker_id, line)
        self._events.send(event)


def worker_command(config: Config) -> list[str]:
    """What starts a worker: the config's command, else this installation's program."""
    return paths.program(logs.WORKER, config.worker.command)


def _arguments(plan: Plan, path: Path, context: int | None, hive_url: str) -> list[str]:
    arguments = {
        "--model": str(path),
        "--model-ref": plan.model_ref,
        "--worker-id": plan.worker_id,
        "--backend": plan.backend,
        "--device": str(plan.device),
        "--slots": str(plan.slots),
        "--callback-url": hive_url,
    }
    if context is not None:
        arguments["--context"] = str(context)
    return [*(word for pair in arguments.items() for word in pair), "--lifeline"]
