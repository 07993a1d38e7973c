"""One worker, from its start to its end. Its own tasks are the only ones that change its state."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import ModelInUse, RbeeError
from rbee.contract.events import Event, Loading, Narration
from rbee.contract.workers import LoadedModel, WorkerGone, WorkerRow, WorkerStatus
from rbee.gguf.file_changes import FileChanges
from rbee.hive.workers import worker_exit
from rbee.hive.workers.launch import LaunchedWorker, WorkerSpec
from rbee.hive.workers.worker_logs import last_output
from rbee.hive.workers.worker_state import Limits, Observation, Verdict, judge, remaining_s
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.concurrency import finish, in_thread
from rbee.runtime.log import correlation_id, uncorrelated
from rbee.runtime.narration import Narrator

# A busy machine may answer late; the worker is ended only after several misses.
_HEALTH_WITHIN_S = 10.0
_CALLBACK_WITHIN_S = 3.0
NOBODY_WAITS = "nobody waits for it any more"
_log = logging.getLogger("rbee-hive")

_REASONS: dict[Verdict, str] = {
    "idle": "it was idle for too long",
    "failing": "it could not compute its last requests",
    "unhealthy": "it did not answer its health checks",
    "stalled": "loading made no progress for {limits.loading_stall_s:g} s",
}


class WorkerProcess:
    """A running worker."""

    def __init__(
        self,
        spec: WorkerSpec,
        launched: LaunchedWorker,
        config: Config,
        report: Callable[[Event], None],
        files: FileChanges,
        judge_every_s: float = 1.0,
        reconnect_s: float = 0.5,
    ) -> None:
        """`report` gets its rows, its narration and its end. `files` knows its model's files as
        they were before it was started. `reconnect_s` is the pause before a broken event stream is
        opened again."""
        self.spec = spec
        self.registered = False
        self.gone: asyncio.Future[WorkerGone] = asyncio.get_running_loop().create_future()
        self._child = launched.child
        self._url = launched.url
        self._client = launched.client
        self._report = report
        self._files = files
        self._say = Narrator(report).say
        self._load_watchers: Broadcast[Event] = Broadcast()
        self._last_loading: Loading | None = None
        self._health_interval_s = config.hive.health_interval_s
        self._grace_s = config.times.grace_s
        self._limits = Limits(
            config.hive.idle_timeout_s, config.hive.health_misses, config.hive.loading_stall_s
        )
        self._judge_every_s = judge_every_s
        self._reconnect_s = reconnect_s
        self._status = WorkerStatus("loading", spec.slots, 0)
        self._active_at = self._progress_at = time.monotonic()
        self._misses = 0
        self._last_activity: float | None = None
        self._last_health: float | None = None
        self._reason: str | None = None
        self._stalled = False
        self._ending: asyncio.Task[int] | None = None
        # Health checks go on as long as the worker lives: they don't belong to the request that
        # started it.
        self._tasks = [
            asyncio.create_task(self._check_health(), context=uncorrelated()),
            asyncio.create_task(self._follow_events()),
            asyncio.create_task(self._enforce_limits()),
            asyncio.create_task(self._await_exit()),
            asyncio.create_task(self._register_late()),
        ]

    def has_loaded(self, path: Path) -> bool:
        """Whether its model is this file, by this name or another."""
        return self.spec.file == str(path) or self._files.hold(path)

    def row(self) -> WorkerRow:
        """The worker as the registry shows it."""
        status = self._status
        return WorkerRow(
            id=self.spec.worker_id,
            url=self._url,
            model_ref=self.spec.model_ref,
            backend=self.spec.backend,
            device=self.spec.device,
            state="unhealthy" if self._misses else status.state,
            last_activity=self._last_activity,
            last_health=self._last_health,
            slots_total=status.slots_total,
            slots_available=status.slots_available,
            context=self.spec.context_in_use,
            frees_bytes=self.spec.frees_bytes,
            pinned=(status.keep_alive_s or 0) < 0,
        )

    def loaded(self) -> LoadedModel:
        """What it has in memory, or is loading. One that answers is as good as used now."""
        spec, state = self.spec, self.row().state
        idle_s = time.monotonic() - self._active_at if state == "idle" else 0.0
        left = remaining_s(self._status.keep_alive_s, self._limits, idle_s)
        return LoadedModel(
            worker_id=spec.worker_id,
            model_ref=spec.model_ref,
            state=state,
            memory_bytes=spec.memory_bytes,
            device_bytes=0 if spec.backend == "cpu" else spec.memory_bytes,
            context=spec.context_in_use,
            expires_at=None if left is None else time.time() + left,
        )

    @property
    def is_ending(self) -> bool:
        """Whether it was told to end: it takes no more work."""
        return self._ending is not None

    def register(self) -> None:
        """The worker serves: it has called back, or loaded its model, or its callback is late. From
        now on its rows are reported."""
        if not self.registered:
            self.registered = True
            correlation_id.set(self.spec.correlation_id)
            self._say("rbee-hive", "📝", f"registration: {self.spec.worker_id} at {self._url}")
            self._report_row()

    async def watch_load(
        self, tell: Callable[[Event], None], end_with_watcher: bool = False
    ) -> None:
        """Tell the row of a registered worker, each step of its load, and last the row of a loaded
        worker, or how it ended. If the watcher leaves before the worker is registered, nobody
        knows of it, and it ends; with `end_with_watcher`, up to the end of the load."""
        over = asyncio.Event()

        def hear(event: Event) -> None:
            if not over.is_set():
                tell(event)
            if isinstance(event, WorkerGone) or (
                isinstance(event, WorkerRow) and event.state != "loading"
            ):
                over.set()

        with self._load_watchers.forward(hear):
            if self.gone.done():
                hear(self.gone.result())
            elif self.registered:
                if self._status.state != "loading":
                    hear(Loading("ready"))
                hear(self.row())
                if self._last_loading is not None:
                    hear(self._last_loading)
            try:
                await over.wait()
            except asyncio.CancelledError:
                if end_with_watcher or not self.registered:
                    await finish(self.end(NOBODY_WAITS))
                raise

    async def _register_late(self) -> None:
        """Without its callback, which may never come: it listens."""
        await asyncio.sleep(_CALLBACK_WITHIN_S)
        if not self.is_ending:
            self.register()

    async def end(self, reason: str) -> int:
        """Ask it to end, wait for the grace period, then send TERM, then KILL; the exit code."""
        if self._ending is None:
            self._reason = self._reason or reason
            self._ending = asyncio.create_task(self._shut_down())
        return await asyncio.shield(self._ending)

    async def end_if_idle(self, reason: str) -> int:
        """The same, unless it loads or answers a request: then raises MODEL_IN_USE. The worker
        itself decides, which knows of a request before anybody else does."""
        if self._ending is None:
            if self._status.state != "idle":
                raise self._in_use()
            try:
                await self._client.call(ep.WORKER_SHUTDOWN_IF_IDLE)
            except ModelInUse:
                raise self._in_use() from None
            except RbeeError as error:
                _log.info("%s is ended without its consent: %s", self.spec.worker_id, error)
        return await self.end(reason)

    def _in_use(self) -> ModelInUse:
        message = f"{self.spec.worker_id} is not idle."
        return ModelInUse(message, model=self.spec.model_ref, workers=[self.spec.worker_id])

    def cut_lifeline(self) -> None:
        """End it at once, without grace."""
        self._child.lifeline.close()

    async def _shut_down(self) -> int:
        with contextlib.suppress(RbeeError):
            await self._client.call(ep.SHUTDOWN)
        return await self._child.end(self._grace_s + 1.0)

    async def _follow_events(self) -> None:
        """Follow the worker's own events; a broken stream is opened again, but not once the worker
        is ending: another one may have its port by then."""
        while not self.is_ending:
            with contextlib.suppress(RbeeError):
                async with self._client.stream(ep.WORKER_EVENTS) as events:
                    async for event in events:
                        self._handle(event)
            await asyncio.sleep(self._reconnect_s)

    def _handle(self, event: Event) -> None:
        if isinstance(event, WorkerStatus):
            if event.state == "idle" and self._status.state != "idle":
                self._active_at = time.monotonic()
                self._last_activity = time.time()
            changed, was = event != self._status, self._status.state
            self._status = event
            if was == "loading" != event.state:
                self._load_watchers.send(Loading("ready"))
                if not self.registered:  # its callback did not come through, but it serves
                    self.register()
                    changed = False
            if changed and self.registered:
                self._report_row()
        elif isinstance(event, Loading):
            self._progress_at = time.monotonic()
            if event.stage != "ready":  # told with the state
                self._last_loading = event
                self._load_watchers.send(event)
        elif isinstance(event, Narration):
            known = event.correlation_id or self.spec.correlation_id
            self._report(msgspec.structs.replace(event, correlation_id=known))

    async def _check_health(self) -> None:
        within_s = min(_HEALTH_WITHIN_S, self._health_interval_s)
        waited_s = 0.0
        while True:
            # An answer that does not come must not put off the next check.
            await asyncio.sleep(self._health_interval_s - waited_s)
            missed, began = self._misses > 0, time.monotonic()
            try:
                await self._client.call(ep.WORKER_HEALTH, within_s=within_s)
                self._last_health, self._misses = time.time(), 0
            except RbeeError:
                # Reading a model can keep a machine busy: while loading, only a stall counts.
                self._misses += self._status.state != "loading"
            # What changed meanwhile for another reason has been reported.
            if (self._misses > 0) != missed:
                self._report_row()
            waited_s = time.monotonic() - began

    async def _enforce_limits(self) -> None:
        while True:
            await asyncio.sleep(self._judge_every_s)
            seen = Observation(
                self._status.state,
                self._active_at,
                self._progress_at,
                self._misses,
                self._status.keep_alive_s,
            )
            verdict = judge(seen, self._limits, time.monotonic())
            if verdict == "keep":
                continue
            self._reason = _REASONS[verdict].format(limits=self._limits)
            self._stalled = verdict == "stalled"
            if verdict in ("idle", "failing"):
                correlation_id.set("")  # no request asked for this end
                await self.end(self._reason)
            else:
                await self._child.end(0)
            return

    async def _await_exit(self) -> None:
        code = await self._child.wait()
        await self._child.end(0)  # ends whatever it started itself
        lines, error = await in_thread(last_output, self.spec.worker_id)
        reason = self._reason
        if reason is None:
            change = await in_thread(self._files.find)
            state = self._status.state
            reason, error = worker_exit.why(self.spec, state, code, lines, error, change)
        body = msgspec.to_builtins(error.envelope().error) if error else None
        gone = WorkerGone(self.spec.worker_id, reason, code, lines, body, self._stalled)
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        await self._client.close()
        self.gone.set_result(gone)
        self._report(gone)
        self._load_watchers.send(gone)

    def _report_row(self) -> None:
        row = self.row()
        self._report(row)
        self._load_watchers.send(row)
