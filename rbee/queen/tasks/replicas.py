"""Where a second worker is started for a model that many ask for: where the model is on disk, has
room without ending anybody, and where that brings anything.

A graphics card does. A CPU does only on a machine that has nothing better, and computes for nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from rbee.contract.nodes import DeviceMemory
from rbee.contract.registry import LOCAL
from rbee.queen.nodes.fleet import Fleet, FleetNode, FleetWorker, Start, repository_of
from rbee.queen.tasks.room import Claims, devices, free_bytes
from rbee.queen.tasks.wants import Want, fitting, is_only_one, meant

# A node on which such a worker did not start is left alone for so long.
FAILED_FOR_S = 60.0


class Replica(msgspec.Struct, frozen=True):
    """A worker more for a line: with which model, and where it is started."""

    want: Want
    model: str
    start: Start


def find_replica(fleet: Fleet, want: Want, claims: Claims, now: float) -> Replica | None:
    """The best place for another worker; None if there is none, or if one is being started."""
    workers = list(fitting(fleet, want))
    repository = repository_of(want.model)
    starts = [*fleet.starts, *claims.starts]
    if any(worker.row.state == "loading" for worker in workers) or any(
        start.repository == repository and not start.is_there for start in starts
    ):
        return None
    found = [
        (_order(node, device), node, device, model, needs)
        for node, model in _nodes(fleet, want, now)
        if (needs := node.models[model].required_bytes) is not None
        for device in _useful(node, want, workers)
        if node.gone or device.memory_free_bytes >= needs
    ]
    for _, node, device, model, needs in sorted(found, key=lambda each: each[0]):
        if free_bytes(fleet, node, device, claims.starts) >= needs:
            start = Start(node.name, device.backend, device.index, repository, needs)
            return Replica(want, model, start)
    return None


def _nodes(fleet: Fleet, want: Want, now: float) -> Iterator[tuple[FleetNode, str]]:
    """The nodes that may be used and have the model on disk, each with its name there."""
    repository = repository_of(want.model)
    is_only = is_only_one(fleet, want)
    for reference in fleet.references(repository):
        for node in fleet.storing(reference):
            failed_at = fleet.failures.get((node.name, repository))
            if (
                node.is_up
                and want.node in (None, node.name)
                and node.name not in want.tried
                and want.refusal(node.name) is None
                and (failed_at is None or now >= failed_at + FAILED_FOR_S)
                and (is_only or meant(fleet, node, want.model) == reference)
            ):
                yield node, reference


def _useful(
    node: FleetNode, want: Want, workers: Collection[FleetWorker]
) -> Iterator[DeviceMemory]:
    """The devices that none of the line's workers is on, and on which one more brings anything."""
    used = {(each.node, each.row.backend, each.row.device) for each in workers}
    for backend in [want.backend] if want.backend else node.backends or ():
        for device in devices(node, backend, want.device):
            if (node.name, device.backend, device.index) in used:
                continue
            if backend != "cpu" or ((node.backends or [""])[0] == "cpu" and _rests(node)):
                yield device


def _rests(node: FleetNode) -> bool:
    """Whether the CPU of a node computes for nobody."""
    return all(worker.row.state == "idle" for worker in node.workers.values())


def _order(node: FleetNode, device: DeviceMemory) -> tuple[bool, int, bool, str, int]:
    """A card before a CPU, then the most free memory, then this machine."""
    free = device.memory_free_bytes
    return device.backend == "cpu", -free, node.name != LOCAL, node.name, device.index
