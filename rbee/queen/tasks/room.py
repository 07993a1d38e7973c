"""Whose memory a model could have that has none: which idle workers end for it, and when.

The fewest that suffice end; of those, the ones that have been idle for the longest time. A worker
that loads or answers never ends for another model, nor one that is pinned: only somebody who
manages the nodes can pin one. A worker that waiting tasks want ends once the other task has waited
for the patience, and the worker has had its model for as long: so models never take turns faster.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from rbee.contract.nodes import DeviceMemory
from rbee.contract.workers import WorkerRow
from rbee.queen.nodes.fleet import Fleet, FleetNode, FleetWorker, Start, repository_of
from rbee.queen.tasks.wants import Refusal, Ticket, Want, needed_bytes


class Room(msgspec.Struct, frozen=True):
    """A worker of `needs_bytes` can start on this device once those of `ends` have ended. `at` is
    when they may end even if others want them; None if all of them can end now. None of `ends`
    helps as long as others are being started."""

    node: str
    device: DeviceMemory
    needs_bytes: int
    ends: tuple[FleetWorker, ...] = ()
    at: float | None = None

    @property
    def fits(self) -> bool:
        """Whether nobody must end or be waited for."""
        return not self.ends and self.at is None

    def cost(self) -> tuple[int, float, bool, str]:
        """The less, the better: few workers, that have been idle for long."""
        last = max((_used_at(worker) for worker in self.ends), default=0.0)
        return len(self.ends), last, self.node != "localhost", self.node


class Rules(msgspec.Struct, frozen=True):
    """The settings that decisions depend on, in seconds; `replicate_after_s` 0 means never."""

    swap_patience_s: float = 20.0
    replicate_after_s: float = 10.0


class Claims(msgspec.Struct):
    """What has been decided so far at this moment: the slots and workers that are taken, workers
    that are kept for a line that has lost its patience, and starts. `wanted` are the workers that
    waiting tasks can use."""

    rules: Rules = Rules()
    taken: dict[str, int] = {}
    ended: set[str] = set()
    kept: dict[str, Want] = {}
    starts: list[Start] = []
    wanted: Collection[str] = ()


def free_bytes(
    fleet: Fleet, node: FleetNode, device: DeviceMemory, starts: Collection[Start] = ()
) -> int:
    """What is free on a device, without what workers are about to take that load, have loaded since
    its memory was seen or are being started, and with what those had that have ended since."""
    free = device.memory_free_bytes + _left_behind(node, device)
    free -= sum(_frees(each) for each in _on(node, device) if not _is_counted(node, each.row))
    free -= sum(start.needs_bytes for start in _starts_on(fleet, node, device, starts))
    return max(0, free)  # of a worker that loads, a part may have been taken already


def devices(node: FleetNode, backend: str | None, index: int | None) -> Iterator[DeviceMemory]:
    """The devices on which a worker may start: of the backend, by default the node's best one."""
    if node.facts is None:
        return
    wanted = backend or node.facts.backends[0]
    for device in node.facts.memory:
        is_known = device.memory_total_bytes > 0
        if is_known and device.backend == wanted and index in (None, device.index):
            yield device


def find_room(
    fleet: Fleet, node: FleetNode, ticket: Ticket, claims: Claims, now: float
) -> Room | None:
    """How a worker for the task can have room on the node, the cheapest way; None if it can't, or
    if nothing is known."""
    want = ticket.want
    needs = needed_bytes(fleet, node, want)
    if not node.is_up or needs is None:
        return None
    found = (
        _on_device(fleet, node, device, needs, ticket, claims, now)
        for device in devices(node, want.backend, want.device)
    )
    rooms = [room for room in found if room is not None]
    return min(rooms, key=lambda room: (room.at is not None, *room.cost()), default=None)


def _on_device(
    fleet: Fleet,
    node: FleetNode,
    device: DeviceMemory,
    needs: int,
    ticket: Ticket,
    claims: Claims,
    now: float,
) -> Room | None:
    lacks = needs - free_bytes(fleet, node, device, claims.starts)
    refusal = ticket.want.refusal(node.name)
    if refusal is not None and refusal.holds(node):
        lacks = max(lacks, min(needs, refusal.required) - refusal.available)
    if lacks <= 0:
        return Room(node.name, device, needs)
    if not ticket.want.makes_room:
        return None
    workers = [worker for worker in _on(node, device) if _is_in_the_way(worker, ticket.want)]
    idle = [worker for worker in workers if _may_end(worker, ticket, claims, now)]
    ends = _fewest(idle, lacks)
    if ends:
        return Room(node.name, device, needs, ends)
    if ticket.want.new:
        return None
    # It is worth waiting; best for workers that nobody else waits for.
    own = [each for each in workers if claims.kept.get(each.row.id, ticket.want) == ticket.want]
    ends = _fewest(own, lacks) or _fewest(workers, lacks)
    starts = _starts_on(fleet, node, device, claims.starts)
    if not ends and lacks > sum(start.needs_bytes for start in starts) + sum(map(_frees, workers)):
        tells = _tells_soon(node, device, needs, refusal, workers)
        return Room(node.name, device, needs, at=now) if tells else None
    at = max((swap_at(worker, ticket, claims.rules, now) for worker in ends), default=now)
    return Room(node.name, device, needs, ends, at)


def _tells_soon(
    node: FleetNode,
    device: DeviceMemory,
    needs: int,
    refusal: Refusal | None,
    workers: Collection[FleetWorker],
) -> bool:
    """Whether there may be room once its hive has told more, which it does in a moment: what has
    been freed since it refused, and whether its memory was seen before its workers had theirs."""
    freed = _left_behind(node, device)
    if refusal is not None and refusal.holds(node) and freed:
        return True
    most = device.memory_free_bytes + freed + sum(map(_frees, workers))
    if needs > min(most, device.memory_total_bytes):
        return False
    return any(not _is_counted(node, worker.row) for worker in _on(node, device))


def swap_at(worker: FleetWorker, ticket: Ticket, rules: Rules, now: float) -> float:
    """When the worker may end for the task, even if others want it."""
    ready_at = now if worker.ready_at is None else worker.ready_at
    return max(ticket.since, ready_at) + rules.swap_patience_s


def _may_end(worker: FleetWorker, ticket: Ticket, claims: Claims, now: float) -> bool:
    name = worker.row.id
    return (
        worker.is_idle(now)
        and not claims.taken.get(name)
        and name not in claims.ended
        and claims.kept.get(name, ticket.want) == ticket.want
        and (name not in claims.wanted or now >= swap_at(worker, ticket, claims.rules, now))
    )


def _left_behind(node: FleetNode, device: DeviceMemory) -> int:
    """What workers that have ended had of it when its hive told of it."""
    place = device.backend, device.index
    gone = [row for row in node.gone.values() if (row.backend, row.device) == place]
    return sum(row.frees_bytes or 0 for row in gone if _is_counted(node, row))


def _is_counted(node: FleetNode, worker: WorkerRow) -> bool:
    """Whether the memory of a worker is taken in what its hive told."""
    return node.facts is not None and worker.id in node.facts.counted


def _is_in_the_way(worker: FleetWorker, want: Want) -> bool:
    """Whether it may ever end for that: a worker more of a model is to be beside the others."""
    beside = want.new and worker.repository == repository_of(want.model)
    return not worker.row.pinned and not beside


def _on(node: FleetNode, device: DeviceMemory) -> Iterator[FleetWorker]:
    for worker in node.workers.values():
        if (worker.row.backend, worker.row.device) == (device.backend, device.index):
            yield worker


def _starts_on(
    fleet: Fleet, node: FleetNode, device: DeviceMemory, starts: Collection[Start]
) -> list[Start]:
    """The workers that are about to be there, and of which the hive has not told yet."""
    place = node.name, device.backend, device.index
    return [
        start
        for start in (*fleet.starts, *starts)
        if place == (start.node, start.backend, start.index) and not start.is_there
    ]


def _fewest(workers: Collection[FleetWorker], lacks: int) -> tuple[FleetWorker, ...]:
    """The fewest workers that free so many bytes, those first that were used least recently; none
    if all of them would not do."""
    largest = sorted(workers, key=_frees, reverse=True)
    count, freed = 0, 0
    while freed < lacks:
        if count == len(largest):
            return ()
        freed += _frees(largest[count])
        count += 1
    chosen: list[FleetWorker] = []
    for worker in sorted(workers, key=_used_at):
        others = [each for each in largest if each is not worker and each not in chosen]
        rest = others[: count - len(chosen) - 1]
        if sum(map(_frees, (*chosen, worker, *rest))) >= lacks:
            chosen.append(worker)
        if len(chosen) == count:
            break
    return tuple(chosen)


def _frees(worker: FleetWorker) -> int:
    return worker.row.frees_bytes or 0


def _used_at(worker: FleetWorker) -> float:
    return worker.row.last_activity or 0.0
