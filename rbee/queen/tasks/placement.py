"""Which nodes may answer and in which order they are tried, and which worker of a node answers:
decided from what is known of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from rbee.contract.registry import LOCAL
from rbee.contract.workers import WorkerRow
from rbee.queen.tasks.sessions import Place

_MB = 1_000_000
# A worker that holds the model, the nearer to answering the better.
_MATCHES = ("same", "idle", "free", "full", None)
# The nearer to answering, the better.
_ORDER = {"idle": 0, "busy": 1, "loading": 2}


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a node. `away` says why it does not answer, and `wakes` whether it may be
    woken. `lacks` is set if the model is a
    file that the node does not have and can't fetch. `backends` is None if nobody asked it yet.
    `free_bytes` has the most that one device of each backend has free; `required_bytes` is what the
    model needs, if known."""

    node: str
    is_up: bool
    away: str | None = None
    wakes: bool = False
    lacks: bool = False
    backends: Sequence[str] | None = None
    workers: Collection[WorkerRow] = ()
    model_ref: str | None = None
    free_bytes: dict[str, int] = {}
    required_bytes: int | None = None


class Verdict(msgspec.Struct, frozen=True):
    """Whether a node can be tried. `reasons` are for a person."""

    node: str
    can: bool
    reasons: list[str]

    def __str__(self) -> str:
        can = "can" if self.can else "can't"
        return f"{self.node} {can}: {', '.join(self.reasons)}"


def rank_nodes(
    candidates: Collection[Candidate],
    model_ref: str,
    backend: str | None,
    device: int | None,
    context: int | None = None,
    before: Place | None = None,
) -> list[Verdict]:
    """Every node with its reasons, in the order in which they are tried, those that can't last.

    One that has to be woken comes after all others. The one whose worker answered `before` comes
    first, if that has a free slot; then one with a
    worker that holds the model, then one that has the file, then one whose hive runs, then this
    machine, then the one with the most free memory.
    """
    judged = [_judge(each, model_ref, backend, device, context, before) for each in candidates]
    return [verdict for _, verdict in sorted(judged, key=lambda pair: pair[0])]


_Key = tuple[bool, bool, int, bool, bool, bool, bool, int, str]


def _judge(
    node: Candidate,
    model_ref: str,
    backend: str | None,
    device: int | None,
    context: int | None,
    before: Place | None,
) -> tuple[_Key, Verdict]:
    last = before.worker_id if before is not None and before.node == node.node else None
    held = _held(node, model_ref, backend, device, context, last)
    against = _against(node, backend, held)
    free = _free(node, backend)
    unsure = node.backends is None and backend not in (None, "cpu")
    reasons = against or _reasons(node, held, free, unsure)
    key = (
        bool(against),
        node.away is not None,
        _MATCHES.index(held),
        node.model_ref is None,
        unsure,
        not node.is_up,
        node.node != LOCAL,
        -free,
        node.node,
    )
    return key, Verdict(node.node, not against, reasons)


def _held(
    node: Candidate,
    model_ref: str,
    backend: str | None,
    device: int | None,
    context: int | None,
    last: str | None,
) -> Literal["same", "idle", "free", "full"] | None:
    reference = node.model_ref or model_ref
    worker = match_worker(node.workers, reference, backend, device, context, last)
    if worker is None:
        return None
    if _is_full(worker):
        return "full"
    if worker.id == last:
        return "same"
    return "idle" if worker.state == "idle" else "free"


def _against(node: Candidate, backend: str | None, held: str | None) -> list[str]:
    """Why it can't, if it can't."""
    if node.away is not None and not node.wakes:
        return [f"it did not answer: {node.away}"]
    if node.lacks:
        return ["the model is not there, and can't be fetched"]
    if backend is not None and node.backends is not None and backend not in node.backends:
        return [f"it has no {backend}, only {', '.join(node.backends)}"]
    free = node.free_bytes.get(_wanted(node, backend))
    if held is None and node.required_bytes and free is not None and free < node.required_bytes:
        return [f"{free // _MB} MB are free, the model needs {node.required_bytes // _MB} MB"]
    return []


def _reasons(node: Candidate, held: str | None, free: int, unsure: bool) -> list[str]:
    worker = {
        "same": "the worker that answered the session last has a free slot",
        "idle": "an idle worker holds the model",
        "free": "a worker with a free slot holds the model",
        "full": "a busy worker holds the model",
        None: "",
    }[held]
    reasons = [worker] if worker else []
    if node.model_ref is not None and not worker:
        reasons.append("the model is there")
    if node.away is not None:
        reasons.append("it sleeps, and can be woken")
    else:
        reasons.append("its hive runs" if node.is_up else "its hive is to be started")
    if unsure:
        reasons.append("what it computes on is not known yet")
    if free:
        reasons.append(f"{free // _MB} MB are free")
    return reasons


def _free(node: Candidate, backend: str | None) -> int:
    return node.free_bytes.get(_wanted(node, backend), 0)


def _wanted(node: Candidate, backend: str | None) -> str:
    return backend or (node.backends[0] if node.backends else "cpu")


def match_worker(
    workers: Collection[WorkerRow],
    model_ref: str,
    backend: str | None,
    device: int | None,
    context: int | None = None,
    last: str | None = None,
) -> WorkerRow | None:
    """The best worker that holds the model, on the backend and device that were asked for, if any,
    and with at least as many tokens of context.

    The one with the id `last` comes first, unless it is full and another is not; then an idle one,
    then one with a free slot, then one that is busy or still loading; None where there is none. An
    unhealthy worker is never chosen.
    """
    fitting = [
        worker
        for worker in workers
        if worker.model_ref == model_ref
        and worker.state in _ORDER
        and backend in (None, worker.backend)
        and device in (None, worker.device)
        and (context is None or (worker.context or 0) >= context)
    ]
    return min(fitting, key=lambda worker: _worker_order(worker, last), default=None)


def _worker_order(worker: WorkerRow, last: str | None) -> tuple[bool, bool, int, int, str]:
    state = _ORDER[worker.state]
    return (_is_full(worker), worker.id != last, state, -worker.slots_available, worker.id)


def _is_full(worker: WorkerRow) -> bool:
    return worker.state == "busy" and worker.slots_available == 0
