"""Which worker has a slot for a task, and which of them is the best."""

from __future__ import annotations

from collections.abc import Mapping

from rbee.contract.registry import LOCAL
from rbee.queen.nodes.fleet import ASK_AGAIN_S, Fleet, FleetWorker, Start
from rbee.queen.tasks.room import Claims
from rbee.queen.tasks.sessions import Place
from rbee.queen.tasks.wants import Want

_Nearness = tuple[bool, bool, bool, int, int, bool, str]


def has_slot(fleet: Fleet, worker: FleetWorker, want: Want, claims: Claims, now: float) -> bool:
    """Whether the worker has a free slot, or perhaps has one: those that somebody else had may be
    free, and nobody tells."""
    name = worker.row.id
    if worker.is_ending or name in claims.ended or claims.kept.get(name, want) != want:
        return False
    taken = claims.taken.get(name, 0)
    if worker.row.state == "loading":  # whoever starts it has a slot of it
        taken += sum(_started(start, worker) for start in fleet.starts)
    may_have = bool(worker.others) and not taken and now >= worker.seen_at + ASK_AGAIN_S
    return worker.free > taken or may_have


def _started(start: Start, worker: FleetWorker) -> bool:
    place = worker.node, worker.repository
    return start.is_there and start.takes_slot and (start.node, start.repository) == place


def look_again_at(workers: list[FleetWorker], claims: Claims, now: float) -> float | None:
    """When to look again whether one of them has a free slot."""
    times = [max(now, worker.seen_at + ASK_AGAIN_S) for worker in workers if worker.others]
    if any(worker.row.id in claims.kept for worker in workers):
        times.append(now + ASK_AGAIN_S)
    return min(times, default=None)


def nearness(worker: FleetWorker, taken: Mapping[str, int], before: Place | None) -> _Nearness:
    """The worker that answered the session before, a worker that is loaded before one that is not,
    a GPU before a CPU, then the most room, then this machine."""
    row = worker.row
    free = worker.free - taken.get(row.id, 0)
    return (
        Place(worker.node, row.id) != before,
        row.state == "loading",
        row.backend == "cpu",
        row.slots_total - free,
        -free,
        worker.node != LOCAL,
        row.id,
    )
