"""Which nodes may answer, and in which order they are tried: decided from what is known of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from rbee.contract.registry import LOCAL
from rbee.contract.workers import WorkerRow
from rbee.queen.tasks.placement import match

_MB = 1_000_000
# A worker that holds the model, the nearer to answering the better.
_MATCHES = ("idle", "free", "full", None)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a node. `away` says why it does not answer; `lacks`: the model is a file of
    the node's own that is not there. `backends` None: nobody has asked yet. `free_bytes` by
    backend, the most that one device has; `required_bytes` what the model needs, if known."""

    node: str
    is_up: bool
    away: str | None = None
    lacks: bool = False
    backends: Sequence[str] | None = None
    workers: Collection[WorkerRow] = ()
    model_ref: str | None = None
    free_bytes: dict[str, int] = {}
    required_bytes: int | None = None


class Verdict(msgspec.Struct, frozen=True):
    """`can`: worth a try. `reasons` are for a person."""

    node: str
    can: bool
    reasons: list[str]


def rank(
    candidates: Collection[Candidate], model_ref: str, backend: str | None, device: int | None
) -> list[Verdict]:
    """Every node with its reasons, in the order in which they are tried, those that can't last.

    A node with a worker that holds the model comes first, then one that has the file, then one
    whose hive runs, then this machine, then the one with the most free memory.
    """
    judged = [_judge(candidate, model_ref, backend, device) for candidate in candidates]
    return [verdict for _, verdict in sorted(judged, key=lambda pair: pair[0])]


_Key = tuple[bool, int, bool, bool, bool, bool, int, str]


def _judge(
    node: Candidate, model_ref: str, backend: str | None, device: int | None
) -> tuple[_Key, Verdict]:
    held = _match(node, model_ref, backend, device)
    against = _against(node, backend, held)
    free = _free(node, backend)
    unsure = node.backends is None and backend not in (None, "cpu")
    reasons = against or _reasons(node, held, free, unsure)
    key = (
        bool(against),
        _MATCHES.index(held),
        node.model_ref is None,
        unsure,
        not node.is_up,
        node.node != LOCAL,
        -free,
        node.node,
    )
    return key, Verdict(node.node, not against, reasons)


def _match(
    node: Candidate, model_ref: str, backend: str | None, device: int | None
) -> Literal["idle", "free", "full"] | None:
    worker = match(node.workers, node.model_ref or model_ref, backend, device)
    if worker is None:
        return None
    if worker.state == "idle":
        return "idle"
    return "full" if worker.state == "busy" and worker.slots_available == 0 else "free"


def _against(node: Candidate, backend: str | None, held: str | None) -> list[str]:
    """Why it can't, if so."""
    if node.away is not None:
        return [f"it did not answer: {node.away}"]
    if node.lacks:
        return ["the model is not there, and can't be fetched"]
    if backend is not None and node.backends is not None and backend not in node.backends:
        return [f"it has no {backend}, only {', '.join(node.backends)}"]
    free = _free(node, backend)
    if held is None and node.required_bytes and free and free < node.required_bytes:
        return [f"{free // _MB} MB are free, the model needs {node.required_bytes // _MB} MB"]
    return []


def _reasons(node: Candidate, held: str | None, free: int, unsure: bool) -> list[str]:
    told = {
        "idle": "an idle worker holds the model",
        "free": "a worker with a free slot holds the model",
        "full": "a busy worker holds the model",
        None: "",
    }[held]
    reasons = [told] if told else []
    if node.model_ref is not None and not told:
        reasons.append("the model is there")
    reasons.append("its hive runs" if node.is_up else "its hive is to be started")
    if unsure:
        reasons.append("what it computes on is not known yet")
    if free:
        reasons.append(f"{free // _MB} MB are free")
    return reasons


def _free(node: Candidate, backend: str | None) -> int:
    wanted = backend or (node.backends[0] if node.backends else "cpu")
    return node.free_bytes.get(wanted, 0)
