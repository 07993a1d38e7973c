"""What the hive tells of its node without being asked: memory, models, disk."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rbee.contract.errors import RbeeError
from rbee.contract.events import Event
from rbee.contract.models import ModelRow
from rbee.contract.nodes import DeviceMemory, HeldModel, NodeFacts
from rbee.contract.workers import WorkerGone, WorkerRow
from rbee.hive.hardware.devices import Hardware, disk_free_bytes
from rbee.hive.models.provisioner import Provisioner
from rbee.hive.models.stored_models import bundled_models
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.concurrency import in_thread

# While somebody listens. What this hive does itself is told sooner.
_LOOK_EVERY_S = 5.0
# Asking for the memory of cards takes up to a second of processor time: how old it may be when
# nothing has happened, and when something has. A start of a worker asks anyway.
_MEMORY_OLD_S = 60.0
_MEMORY_NEWS_OLD_S = 10.0
# What has changed if it is not the same.
_EXACT = ("backends", "models", "downloads", "bundled", "counted")
# A change of memory or disk below this part of it is noise.
_NOTICED = 0.02
_log = logging.getLogger("rbee-hive")


class _Loaded(msgspec.Struct):
    """From when to when a worker of that backend had its model in memory."""

    backend: str
    since: float
    until: float = math.inf


class Facts:
    """The facts of this node as they were last told. `events` get them when they have changed."""

    def __init__(
        self,
        hardware: Hardware,
        provisioner: Provisioner,
        events: Broadcast[Event],
        look_every_s: float = _LOOK_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """The `clock` is that of the hardware."""
        self.told: NodeFacts | None = None
        self._hardware = hardware
        self._provisioner = provisioner
        self._events = events
        self._look_every_s = look_every_s
        self._clock = clock
        self._wanted = asyncio.Event()
        self._memory_old_s = _MEMORY_OLD_S
        self._loaded: dict[str, _Loaded] = {}
        self._is_closed = False
        # What a model needs, by its file and size: a header takes milliseconds to read.
        self._required: dict[tuple[str, int], int | None] = {}
        provisioner.downloads.on_change = self.want

    def close(self) -> None:
        """Begin no more looks: the hive ends."""
        self._is_closed = True

    async def watch(self) -> None:
        """Look, and tell what is new, for as long as the hive runs."""
        with self._events.forward(self._hear):
            while not self._is_closed:
                if self._wanted.is_set() or self._events.is_heard:
                    await self._look()
                try:
                    async with asyncio.timeout(self._look_every_s):
                        await self._wanted.wait()
                except TimeoutError:
                    continue

    def want(self, memory_old_s: float = _MEMORY_NEWS_OLD_S) -> None:
        """Somebody wants to know, or something has changed: look now. What is known of the memory
        of cards may be `memory_old_s` seconds old."""
        self._memory_old_s = min(self._memory_old_s, memory_old_s)
        self._wanted.set()

    def _hear(self, event: Event) -> None:
        """A model came into memory, or left it."""
        if isinstance(event, WorkerGone) and event.worker_id in self._loaded:
            self._loaded[event.worker_id].until = self._clock()
        elif (
            isinstance(event, WorkerRow)
            and event.state != "loading"
            and event.id not in self._loaded
        ):
            self._loaded[event.id] = _Loaded(event.backend, self._clock())
        else:
            return
        if not self._is_closed:
            self.want()

    def _counted(self) -> list[str]:
        """The workers whose memory is taken in what has just been seen, which forgets those that
        are not needed any more. If others have theirs by now, or some have not any more, the next
        look wants newer memory."""
        now, counted = self._clock(), []
        for name, loaded in list(self._loaded.items()):
            seen_at = now if loaded.backend == "cpu" else self._hardware.cards_seen_at
            if loaded.until <= seen_at:
                del self._loaded[name]
            elif loaded.since < seen_at:
                counted.append(name)
        if counted != [name for name, loaded in self._loaded.items() if loaded.until == math.inf]:
            self._memory_old_s = min(self._memory_old_s, _MEMORY_NEWS_OLD_S)
        return counted

    async def _look(self) -> None:
        known_old_s, self._memory_old_s = self._memory_old_s, _MEMORY_OLD_S
        self._wanted.clear()
        try:
            seen = await self._seen(known_old_s)
        except (RbeeError, OSError) as error:
            _log.warning("the node can't be looked at: %s", error)
            return
        if self.told is None or _differ(self.told, seen):
            self.told = seen
            self._events.send(seen)

    async def _seen(self, known_old_s: float) -> NodeFacts:
        usable = await self._hardware.usable()
        memory = await self._hardware.memory(known_old_s)
        counted = self._counted()
        rows = await self._provisioner.inventory.rows()
        models = [
            HeldModel(row.reference, row.quantization, row.size_bytes, await self._needs(row))
            for row in rows
        ]
        return NodeFacts(
            backends=usable.backends,
            devices=usable.devices,
            memory=memory,
            models=models,
            disk_free_bytes=disk_free_bytes(),
            downloads=self._provisioner.downloads.running(),
            bundled=await in_thread(bundled_models),
            counted=counted,
        )

    async def _needs(self, row: ModelRow) -> int | None:
        key = row.local_path, row.size_bytes
        if key not in self._required:
            try:
                self._required[key] = await self._provisioner.required_bytes(Path(row.local_path))
            except RbeeError:
                self._required[key] = None
        return self._required[key]


def _differ(told: NodeFacts, seen: NodeFacts) -> bool:
    if any(getattr(told, name) != getattr(seen, name) for name in _EXACT):
        return True
    if abs(told.disk_free_bytes - seen.disk_free_bytes) > _NOTICED * told.disk_free_bytes:
        return True
    return _shape(told.memory) != _shape(seen.memory) or any(
        abs(old.memory_free_bytes - new.memory_free_bytes) > _NOTICED * new.memory_total_bytes
        for old, new in zip(told.memory, seen.memory, strict=True)
    )


def _shape(memory: Sequence[DeviceMemory]) -> list[tuple[str, int, int]]:
    return [(each.backend, each.index, each.memory_total_bytes) for each in memory]
