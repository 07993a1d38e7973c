"""A task's attempt on one node: its eight phases, from the registry to the last token."""

from __future__ import annotations

import asyncio
import contextlib

from rbee.contract import endpoints as ep
from rbee.contract.errors import (
    ComputeFailed,
    ConnectionTimeout,
    InvalidApiKey,
    KeyNotProven,
    ModelNotAllowed,
    RbeeError,
    ShuttingDown,
    StreamTruncated,
    WorkerCrashed,
)
from rbee.contract.model_ref import parse
from rbee.contract.models import ModelName
from rbee.contract.workers import SpawnRequest, WorkerGone, WorkerRow
from rbee.queen.keys.allowed_models import judge
from rbee.queen.nodes.error_names import with_node_name
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.worker_start import WorkerStart, check_port, why_lost
from rbee.queen.tasks.dispatcher import Turn
from rbee.queen.tasks.placement import match_worker
from rbee.queen.tasks.relay import broken_off, relay_answer
from rbee.queen.tasks.task import Task, size_of
from rbee.runtime.narration import Narrator
from rbee.runtime.retry import doubling

# A worker that ends, or has ended: something else may have its port by now.
_GONE = (ConnectionTimeout, ShuttingDown, KeyNotProven, InvalidApiKey, StreamTruncated)
_TURNS = 3
_DEATHS = 2
_FIRST_PAUSE_S = 0.2


class Attempt:
    """Runs once, in an asyncio task that may be canceled at any point. `turn` is told to which
    worker it goes. `chosen` is the worker that it goes to first; `is_told`: the person has been
    told already that it goes there."""

    def __init__(
        self,
        task: Task,
        hive: Hive,
        turn: Turn,
        chosen: WorkerRow | None = None,
        is_told: bool = False,
    ) -> None:
        self._task = task
        self._hive = hive
        self._turn = turn
        self._chosen = chosen
        self._is_told = is_told
        self._model = task.model_name
        self._left: set[str] = set()

    async def run(self) -> None:
        """All phases. If the worker ends before its first token, another is found or started, so
        that three at most have the request, and no third if it seems to have ended two."""
        task, hive = self._task, self._hive
        timed_out = False
        for turn, pause in enumerate(doubling(_FIRST_PAUSE_S, _TURNS), start=1):
            await asyncio.sleep(pause)
            if timed_out:
                await hive.suspect()
                timed_out = False
            await hive.ensure_running(Narrator(task.tell, hive.node))
            try:
                worker = await self._worker()
            except ConnectionTimeout as error:
                if turn == _TURNS:
                    error.details["attempts"] = turn
                    raise
                timed_out = True
                continue
            except WorkerCrashed as error:
                error.details["max_tokens"] = task.request.max_tokens
                raise
            self._say("💬", f"inference: {self._model} answers on {hive.node}")
            self._turn.use(hive.node, worker)
            self._is_told = False
            try:
                await relay_answer(task, hive, worker, self._turn.accepted)
                return
            except ComputeFailed as error:
                raise with_node_name(error, hive.node, self._model) from None
            except _GONE as error:
                gone = await self._exit(worker, error)
                task.lost += 1
                if not isinstance(error, ShuttingDown):
                    task.deaths += gone is not None and gone.exit_code != 0
                if _TURNS in (turn, task.lost) or not self._may_go_on(worker, error, gone):
                    raise self._end(worker, error, gone) from None
                task.is_sent = False
                self._turn.lost()
                self._left.add(worker.id)
                why = f" before it had answered ({gone.reason})" if gone else ""
                self._say("🔁", f"{worker.id} has just gone{why}: looking again")

    async def _exit(self, worker: WorkerRow, error: RbeeError) -> WorkerGone | None:
        """How the worker ended, if its hive knows. Raises PORT_BLOCKED if it has not, and can't be
        reached."""
        if isinstance(error, ShuttingDown):
            if not self._task.has_begun:
                return None
            await self._hive.notice_end()
            return None if self._hive.broke is None else await self._hive.worker_exit(worker.id)
        if not isinstance(error, StreamTruncated):
            await check_port(self._hive, worker)
        return await self._hive.worker_exit(worker.id)

    def _may_go_on(self, worker: WorkerRow, error: RbeeError, gone: WorkerGone | None) -> bool:
        """Whether another worker may have the request: nothing of an answer has been told, it has
        not ended two, and this one, if it had accepted it, computes no longer."""
        if self._task.has_begun or self._task.deaths == _DEATHS:
            return False
        had_it = isinstance(error, StreamTruncated)
        return not (had_it and gone is None and self._hive.may_have(worker.id))

    def _end(self, worker: WorkerRow, error: RbeeError, gone: WorkerGone | None) -> WorkerCrashed:
        why = error.message.rstrip(".")
        if isinstance(error, StreamTruncated):
            why = why_lost(error, self._hive)
        ended = broken_off(self._task, self._hive, worker, why, gone)
        if self._task.deaths == _DEATHS:
            ended.message += f" {self._blame()}"
        return ended

    def _blame(self) -> str:
        """Whoever asks must know that it may be the request, and which."""
        what = f"{self._model}, {size_of(self._task.request)}"
        return f"It was the second worker that ended with this request: {what}."

    async def _worker(self) -> WorkerRow:
        """Phases 1 to 7: a worker that is loaded, found or started."""
        await self._check_model()
        found = await self._find()
        if found is not None:
            return await self._loaded(found)
        start = self._worker_start()
        # A download may take hours: it holds up nobody else.
        await start.provide_model()
        self._model = start.wanted.model
        if self._hive.worker_start_lock.locked():
            self._say("⏱️", "waiting for a worker that another request starts")
        async with contextlib.aclosing(start.spawn()) as rows:
            # One request of a node after the other: two that want the same model get one worker.
            async with self._hive.worker_start_lock:
                found = await self._match()
                if found is None:
                    worker = await anext(rows)
                    # From now on: once it is loaded, and idle, it would end for others.
                    self._turn.use(self._hive.node, worker)
            if found is not None:
                return await self._loaded(found)
            async for loaded in rows:
                worker = loaded
            return worker

    async def _check_model(self) -> None:
        """For a key that may use some files of a repository only: find out which file is meant on
        this node, and use no other. Raises MODEL_NOT_ALLOWED."""
        who, asked = self._task.caller, self._task.model
        allowed = [parse(name) for name in who.models]
        if judge(asked, allowed) == "ask":
            known = await self._hive.http.call(ep.HIVE_MODEL_INFO, ModelName(str(asked)))
            self._model = known.reference
            if self._chosen is not None and self._chosen.model_ref != self._model:
                self._chosen = None
            if judge(parse(self._model), allowed) != "yes":
                raise ModelNotAllowed(key=who.name, model=self._model, allowed=list(who.models))

    def _worker_start(self) -> WorkerStart:
        request = self._task.request
        wanted = SpawnRequest(
            self._model,
            request.backend,
            request.device,
            context=request.context,
            force=request.force,
        )
        return WorkerStart(wanted, self._hive, self._task.events)

    async def _loaded(self, worker: WorkerRow) -> WorkerRow:
        if worker.state == "loading":
            self._turn.use(self._hive.node, worker)
            await self._worker_start().wait_until_loaded(worker)
        return worker

    async def _find(self) -> WorkerRow | None:
        """Phase 1."""
        worker = await self._match()
        if worker is None:
            context = self._task.request.context
            size = f" with {context} tokens of context" if context else ""
            none = f"no worker on {self._hive.node} holds {self._model}{size}"
            self._say("🔎", f"worker registry: {none}")
            return None
        self._say("🔎", f"worker registry: {worker.id} holds {self._model}, {worker.state}")
        skipped = [
            "pool preflight",
            "model provisioning",
            "worker preflight",
            "worker startup",
            "registration",
            *(["worker health"] if worker.state != "loading" else []),
        ]
        self._say("⏭️", f"skipped: {', '.join(skipped)}")
        return worker

    async def _match(self) -> WorkerRow | None:
        chosen, self._chosen = self._chosen, None
        if chosen is not None and chosen.id not in self._left:
            self._model = chosen.model_ref
            return chosen
        rows = [row for row in await self._hive.workers() if row.id not in self._left]
        if self._task.model.scheme == "hf" and rows:
            # Workers have the name of the file; a repository or a quantization means one.
            known = await self._hive.http.call(ep.HIVE_RESOLVE, ModelName(self._model))
            self._model = known.reference or self._model
        wish, before = self._task.request, self._task.session.place
        last = before.worker_id if before and before.node == self._hive.node else None
        return match_worker(rows, self._model, wish.backend, wish.device, wish.context, last)

    def _say(self, emoji: str, text: str) -> None:
        if not self._is_told:
            self._task.narrate(emoji, text, self._hive.node)
