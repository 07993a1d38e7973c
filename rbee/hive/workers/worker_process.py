"""One worker, from its start to its end. Its tasks are the only ones that change it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import ModelCorrupt, RbeeError
from rbee.contract.events import Event, Loading, Narration
from rbee.contract.workers import WorkerGone, WorkerRow, WorkerStatus
from rbee.hive.workers import worker_logs as logs
from rbee.hive.workers.worker_state import Condition, Limits, Verdict, broke_on_its_model, judge
from rbee.runtime import child
from rbee.runtime.client import Client
from rbee.runtime.log import correlation_id, uncorrelated

_TICK_S = 1.0
_AGAIN_S = 0.5
_HEALTH_WITHIN_S = 10.0
_ASK_WITHIN_S = 2.0

_REASONS: dict[Verdict, str] = {
    "idle": "it was idle for too long",
    "unhealthy": "it did not answer its health checks",
    "stalled": "loading made no progress for {limits.loading_stall_s:g} s",
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is started as; fixed for its life."""

    worker_id: str
    model_ref: str
    file: str
    backend: str
    device: int
    slots: int
    correlation_id: str


class Supervised:
    """A worker that runs. `tell` hears what becomes of it: rows, narration, its end."""

    def __init__(
        self,
        plan: Plan,
        running: child.Child,
        url: str,
        client: Client,
        config: Config,
        tell: Callable[[Event], None],
    ) -> None:
        self.plan = plan
        self.registered = False
        self.gone: asyncio.Future[WorkerGone] = asyncio.get_running_loop().create_future()
        self._child = running
        self._health_interval_s = config.hive.health_interval_s
        self._grace_s = config.times.grace_s
        self._limits = Limits(
            config.hive.idle_timeout_s, config.hive.health_misses, config.hive.loading_stall_s
        )
        self._tell = tell
        self._url = url
        self._client = client
        self._status = WorkerStatus("loading", plan.slots, 0)
        self._active_at = self._progress_at = time.monotonic()
        self._misses = 0
        self._last_activity: float | None = None
        self._last_health: float | None = None
        self._reason: str | None = None
        self._stalled = False
        self._ending: asyncio.Task[int] | None = None
        # Health is asked for as long as the worker lives: that is no part of what started it.
        self._tasks = [
            asyncio.create_task(self._check_health(), context=uncorrelated()),
            *(asyncio.create_task(do()) for do in (self._listen, self._judge, self._notice_exit)),
        ]

    def row(self) -> WorkerRow:
        """The worker as the registry shows it."""
        status = self._status
        return WorkerRow(
            id=self.plan.worker_id,
            url=self._url,
            model_ref=self.plan.model_ref,
            backend=self.plan.backend,
            device=self.plan.device,
            state="unhealthy" if self._misses else status.state,
            last_activity=self._last_activity,
            last_health=self._last_health,
            slots_total=status.slots_total,
            slots_available=status.slots_available,
        )

    @property
    def is_ending(self) -> bool:
        """Whether it was told to end: it takes no work any more."""
        return self._ending is not None

    def register(self) -> None:
        """The worker has called back: from here on it is told about."""
        self.registered = True
        self._tell(self.row())

    async def end(self, reason: str) -> int:
        """End in order: ask, wait the grace period, then TERM, then KILL; the exit code."""
        if self._ending is None:
            self._reason = self._reason or reason
            self._ending = asyncio.create_task(self._end())
        return await asyncio.shield(self._ending)

    def let_go(self) -> None:
        """Close the lifeline: the worker ends at once, without grace."""
        self._child.lifeline.close()

    async def _end(self) -> int:
        with contextlib.suppress(RbeeError):
            await self._client.call(ep.SHUTDOWN, within_s=_ASK_WITHIN_S)
        return await self._child.end(self._grace_s + 1.0)

    async def _listen(self) -> None:
        """Follow what the worker says of itself; a broken stream is taken up again."""
        while True:
            with contextlib.suppress(RbeeError):
                async with self._client.stream(ep.WORKER_EVENTS) as events:
                    async for event in events:
                        self._hear(event)
            await asyncio.sleep(_AGAIN_S)

    def _hear(self, event: Event) -> None:
        if isinstance(event, WorkerStatus):
            if event.state == "idle" and self._status.state != "idle":
                self._active_at = time.monotonic()
                self._last_activity = time.time()
            changed = event != self._status
            self._status = event
            if changed and self.registered:
                self._tell(self.row())
        elif isinstance(event, Loading):
            self._progress_at = time.monotonic()
        elif isinstance(event, Narration):
            known = event.correlation_id or self.plan.correlation_id
            self._tell(msgspec.structs.replace(event, correlation_id=known))

    async def _check_health(self) -> None:
        while True:
            await asyncio.sleep(self._health_interval_s)
            before = self.row().state
            within = min(_HEALTH_WITHIN_S, self._health_interval_s)
            try:
                await self._client.call(ep.WORKER_HEALTH, within_s=within)
                self._last_health, self._misses = time.time(), 0
            except RbeeError:
                # Reading a model can keep a machine busy: while loading, only a stall counts.
                self._misses += self._status.state != "loading"
            if self.row().state != before:
                self._tell(self.row())

    async def _judge(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            condition = Condition(
                self._status.state,
                self._active_at,
                self._progress_at,
                self._misses,
                self._status.keep_alive_s,
            )
            verdict = judge(condition, self._limits, time.monotonic())
            if verdict == "leave":
                continue
            self._reason = _REASONS[verdict].format(limits=self._limits)
            self._stalled = verdict == "stalled"
            if verdict == "idle":
                correlation_id.set("")  # nobody asked for this end
                await self.end(self._reason)
            else:
                await self._child.end(0)
            return

    async def _notice_exit(self) -> None:
        code = await self._child.wait()
        await self._child.end(0)  # whatever it started of its own ends too
        lines, error = await asyncio.to_thread(logs.last_words, self.plan.worker_id)
        if self._reason is None and error is None and broke_on_its_model(self._status.state, code):
            said = lines[-1] if lines else "without a word"
            why = f"it ended llama.cpp by signal {-code}: {said}"
            error = ModelCorrupt(file=self.plan.file, reason=why)
        reason = self._reason or (str(error) if error else _crash(code))
        body = msgspec.to_builtins(error.envelope().error) if error else None
        gone = WorkerGone(self.plan.worker_id, reason, code, lines, body, self._stalled)
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        await self._client.close()
        self.gone.set_result(gone)
        self._tell(gone)


def _crash(code: int) -> str:
    return f"it was ended by signal {-code}" if code < 0 else f"it ended with code {code}"
