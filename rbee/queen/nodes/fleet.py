"""What the queen knows of every node, with the time of each fact: written from the event streams of
the hives, read by all. Nothing here asks a node.

All times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache

import msgspec

from rbee.contract import model_ref
from rbee.contract.errors import RbeeError
from rbee.contract.nodes import HeldModel, NodeFacts
from rbee.contract.registry import LOCAL
from rbee.contract.workers import WorkerRow

# So many workers that have ended are remembered.
_ENDED = 256
# A worker that refused a task is asked again, in case nobody tells that it has a slot.
ASK_AGAIN_S = 0.25


class FleetWorker(msgspec.Struct):
    """A worker. `own` are the tasks of this queen that it answers, `others` the slots that somebody
    else has, as last seen at `seen_at`. `ready_at` is when it was first seen with its model loaded.
    One that `is_ending` was told to end by this queen."""

    node: str
    row: WorkerRow
    own: int = 0
    others: int = 0
    seen_at: float = 0.0
    ready_at: float | None = None
    is_ending: bool = False

    @property
    def free(self) -> int:
        """The slots that a task may find, as far as is known."""
        if self.is_ending or self.row.state not in ("idle", "busy", "loading"):
            return 0
        return max(0, self.row.slots_total - self.own - self.others)

    @property
    def repository(self) -> str:
        """That of its model."""
        return _repository(self.row.model_ref)

    def is_idle(self, now: float) -> bool:
        """Whether nobody uses it, as far as is known."""
        others = self.others and now < self.seen_at + ASK_AGAIN_S
        return self.row.state == "idle" and not (self.own or others or self.is_ending)


class Start(msgspec.Struct, eq=False):
    """A worker that this queen starts on a device of a node, for a model of this repository.
    `needs_bytes` of its memory are as good as taken. `makes_room`: others end for it. `takes_slot`:
    a task that waits for it has a slot of it. `is_there`: its hive tells of the worker, which
    counts from then on."""

    node: str
    backend: str
    index: int
    repository: str
    needs_bytes: int
    makes_room: bool = False
    takes_slot: bool = True
    is_there: bool = False


class FleetNode(msgspec.Struct):
    """A node. `is_up`: the events of its hive are followed, `since` then. `facts` are None until
    the hive has told them, at `told_at`. `backends` is what was known of it before, `away` why it
    did not answer the last time, `wakes` whether it may be woken then. `gone` are workers that have
    ended, as long as their memory may be in the facts."""

    name: str
    is_up: bool = False
    since: float = 0.0
    away: str | None = None
    wakes: bool = False
    backends: list[str] | None = None
    facts: NodeFacts | None = None
    told_at: float = 0.0
    workers: dict[str, FleetWorker] = {}
    gone: dict[str, WorkerRow] = {}
    models: dict[str, HeldModel] = {}

    def holds(self, reference: str) -> bool:
        """Whether one of its workers has this model in memory."""
        return any(worker.row.model_ref == reference for worker in self.workers.values())


class Fleet:
    """Every node by its name; this machine is always one of them."""

    def __init__(self) -> None:
        self.nodes: dict[str, FleetNode] = {LOCAL: FleetNode(LOCAL)}
        self.starts: list[Start] = []
        self._workers: dict[str, dict[str, FleetWorker]] = {}
        self._references: dict[str, Counter[str]] = {}
        self._storing: dict[str, dict[str, FleetNode]] = {}
        self._ended: dict[tuple[str, str], None] = {}
        # When a second worker for a repository's model last failed to start on a node.
        self.failures: dict[tuple[str, str], float] = {}
        # Called after each change that may let a waiting task go on.
        self.on_change: Callable[[], None] = lambda: None
        self._changes: Counter[str] = Counter()

    # What is told; a hive whose node has been forgotten tells nothing

    def know(
        self,
        name: str,
        backends: list[str] | None = None,
        away: str | None = None,
        wakes: bool = False,
    ) -> None:
        """There is such a node, with what is remembered of it."""
        node = self._node(name)
        if (node.backends, node.away, node.wakes) != (backends, away, wakes):
            node.backends, node.away, node.wakes = backends, away, wakes
            self.on_change()

    def forget(self, name: str) -> None:
        """There is no such node any more, as it was."""
        self.lost(name)
        if name != LOCAL:
            self.nodes.pop(name, None)

    def connected(self, name: str, now: float) -> None:
        """Its hive begins to tell, with the workers that there are."""
        self.lost(name)
        node = self._node(name)
        node.is_up, node.since, node.away = True, now, None
        self.on_change()

    def lost(self, name: str) -> None:
        """Its hive tells no more: nothing that is known of its workers is true any longer."""
        node = self.nodes.get(name)
        if node is None:
            return
        for worker_id in list(node.workers):
            self.worker_gone(name, worker_id)
        self._hold(node, [])
        node.is_up, node.facts, node.gone = False, None, {}
        self.on_change()

    def told(self, name: str, facts: NodeFacts, now: float = 0.0) -> None:
        """What a hive says of its node."""
        node = self.nodes.get(name)
        if node is None:
            return
        node.facts, node.told_at = facts, now
        node.backends = facts.backends
        node.gone = {name: row for name, row in node.gone.items() if name in facts.counted}
        self._hold(node, facts.models)
        self.on_change()

    def worker_told(self, name: str, row: WorkerRow, now: float) -> None:
        """What a hive says of a worker."""
        node = self.nodes.get(name)
        if node is None:
            return
        self._ended.pop((name, row.id), None)
        worker = node.workers.get(row.id)
        if worker is not None and worker.row.model_ref != row.model_ref:
            self.worker_gone(name, row.id)
            worker = None
        if worker is None:
            worker = node.workers[row.id] = FleetWorker(name, row)
            self._workers.setdefault(row.model_ref, {})[row.id] = worker
            self._count(row.model_ref, 1)
            self._arrived(worker)
        worker.row, worker.seen_at = row, now
        if worker.ready_at is None and row.state != "loading":
            worker.ready_at = now
        taken = 0 if row.state == "loading" else row.slots_total - row.slots_available
        worker.others = max(0, taken - worker.own)
        self._touch(worker)

    def worker_gone(self, name: str, worker_id: str) -> None:
        """A worker has ended."""
        self._ended[name, worker_id] = None
        if len(self._ended) > _ENDED:
            del self._ended[next(iter(self._ended))]
        worker = self.worker(name, worker_id)
        if worker is not None:
            node = self.nodes[name]
            node.gone[worker_id] = node.workers.pop(worker_id).row
            same = self._workers[worker.row.model_ref]
            del same[worker_id]
            if not same:
                del self._workers[worker.row.model_ref]
            self._count(worker.row.model_ref, -1)
            self._touch(worker)

    # What this queen does itself

    def claim(self, worker: FleetWorker, now: float) -> None:
        """A task of this queen goes to a worker. If others have its slots, as far as is known, no
        second one tries at the same time."""
        if worker.free <= 0:
            worker.seen_at = now
        worker.own += 1

    def accepted(self, worker: FleetWorker) -> None:
        """It had a slot: others have no more than the rest."""
        worker.others = min(worker.others, max(0, worker.row.slots_total - worker.own))

    def release(self, worker: FleetWorker) -> None:
        """It has left the worker."""
        worker.own -= 1
        self._touch(worker)

    def refused(self, worker: FleetWorker, now: float) -> None:
        """A worker had no slot after all: somebody else has them."""
        worker.others = max(worker.others, worker.row.slots_total - worker.own)
        worker.seen_at = now

    def begin(self, start: Start, ends: Iterable[FleetWorker] = ()) -> None:
        """This queen starts a worker, and ends others for it first."""
        self.starts.append(start)
        for worker in ends:
            worker.is_ending = True

    def finish(self, start: Start, ends: Iterable[FleetWorker] = ()) -> None:
        """The start has come to an end. A worker that is still there was not ended for it."""
        self.starts.remove(start)
        self._changes[start.repository] += 1
        for worker in ends:
            worker.is_ending = False
            self._touch(worker)
        self.on_change()

    # What is read

    def worker(self, name: str, worker_id: str) -> FleetWorker | None:
        """A worker of a node, if it is known."""
        node = self.nodes.get(name)
        return node.workers.get(worker_id) if node else None

    def has_ended(self, name: str, worker_id: str) -> bool:
        """Whether a worker of a node is known to have ended, or its hive has been lost since."""
        return (name, worker_id) in self._ended

    def holding(self, reference: str) -> Iterable[FleetWorker]:
        """The workers that have a model in memory, or load it."""
        return self._workers.get(reference, {}).values()

    def references(self, repository: str) -> Collection[str]:
        """The models of a repository that are on any disk or in any memory."""
        return self._references.get(repository, ())

    def storing(self, reference: str) -> Iterable[FleetNode]:
        """The nodes that have a model on disk."""
        return self._storing.get(reference, {}).values()

    def stamp(self, repository: str) -> int:
        """Another number if anything has changed about the models of this repository: where they
        are, and the workers that hold them."""
        return self._changes[repository]

    def _node(self, name: str) -> FleetNode:
        return self.nodes.setdefault(name, FleetNode(name))

    def _hold(self, node: FleetNode, models: Iterable[HeldModel]) -> None:
        before, after = node.models, {model.reference: model for model in models}
        for reference in before.keys() - after.keys():
            del self._storing[reference][node.name]
            if not self._storing[reference]:
                del self._storing[reference]
            self._count(reference, -1)
        for reference in after.keys() - before.keys():
            self._storing.setdefault(reference, {})[node.name] = node
            self._count(reference, 1)
        node.models = after

    def _arrived(self, worker: FleetWorker) -> None:
        """One of the starts has its worker: one on its device, if there is one."""
        place, row = (worker.node, worker.repository), worker.row
        starts = [
            start
            for start in self.starts
            if (start.node, start.repository) == place and not start.is_there
        ]
        exact = [each for each in starts if (each.backend, each.index) == (row.backend, row.device)]
        for start in (exact or starts)[:1]:
            start.is_there = True

    def _count(self, reference: str, change: int) -> None:
        """So many more places where a model is."""
        repository = _repository(reference)
        places = self._references.setdefault(repository, Counter())
        places[reference] += change
        if not places[reference]:
            del places[reference]
        if not places:
            del self._references[repository]
        self._changes[repository] += 1

    def _touch(self, worker: FleetWorker) -> None:
        self._changes[_repository(worker.row.model_ref)] += 1
        self.on_change()


def repository_of(ref: model_ref.ModelRef) -> str:
    """What all files of a repository at one revision share. The Hub ignores case in names."""
    if ref.scheme != "hf":
        return str(ref)
    at = f"@{ref.revision}" if ref.revision else ""
    return f"hf:{ref.name.lower()}{at}"


@lru_cache(4096)
def _repository(reference: str) -> str:
    try:
        return repository_of(model_ref.parse(reference))
    except RbeeError:  # a name of a newer hive
        return reference
