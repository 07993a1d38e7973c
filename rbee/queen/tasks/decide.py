"""Which waiting task goes where, now: one decision over all nodes and all lines.

It is made from what is known and the time, and changes nothing.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

from rbee.contract.model_ref import ModelRef, parse
from rbee.contract.nodes import HeldModel
from rbee.contract.quantization import of_file
from rbee.contract.registry import LOCAL
from rbee.gguf.choice import choose
from rbee.queen.nodes.fleet import Fleet, FleetNode, FleetWorker, repository_of
from rbee.queen.tasks.fairness import Accounts
from rbee.queen.tasks.placement import Candidate, Verdict, rank_nodes
from rbee.queen.tasks.sessions import Place

# A node whose hive has just been found tells its facts in a moment.
FACTS_WITHIN_S = 2.0
# A worker that refused a task is asked again, in case nobody tells that it has a slot.
ASK_AGAIN_S = 0.25


class Want(msgspec.Struct, frozen=True):
    """What tasks of one line have in common. `context`: at least so many tokens. `slot`: they take
    a slot of their worker. `new`: a worker that there is already is not wanted.
    `wake`: a node that sleeps may be woken, if no other can. `tried` are nodes
    that could not, `lacking` those where the model is a file that they don't have."""

    model: ModelRef
    node: str | None = None
    backend: str | None = None
    device: int | None = None
    context: int | None = None
    slot: bool = True
    new: bool = False
    wake: bool = True
    tried: frozenset[str] = frozenset()
    lacking: frozenset[str] = frozenset()


class Ticket(msgspec.Struct, eq=False):
    """A task that waits: the name of its key, what it wants, the number of its arrival, and the
    worker that answered its session `before`."""

    key: str
    want: Want
    turn: int
    since: float
    before: Place | None = None


class Spot(msgspec.Struct, frozen=True):
    """Go to this node, and there to this worker; without one, have one found or started."""

    node: str
    worker: FleetWorker | None
    reasons: list[str]


class Full(msgspec.Struct, frozen=True):
    """Every worker that holds the model is full; `slots` are those of all of them. Look again at
    `at`, in case nobody tells that one is free."""

    slots: int
    at: float | None


class Look(msgspec.Struct, frozen=True):
    """What is known is not enough yet, but will be at that time."""

    at: float


class Nowhere(msgspec.Struct, frozen=True):
    """No node can, for the reasons given."""

    verdicts: list[Verdict]


Outcome = Spot | Full | Look | Nowhere
Line = Mapping[str, Mapping[int, Ticket]]


class Decision(msgspec.Struct, frozen=True):
    """`placed` are in the order in which they are served; `held` says for each line what the rest
    of it waits for."""

    placed: list[tuple[Ticket, Spot]]
    nowhere: list[tuple[Ticket, Nowhere]]
    held: dict[Want, Full | Look]


def decide(fleet: Fleet, lines: Mapping[Want, Line], accounts: Accounts, now: float) -> Decision:
    """What happens to the tasks of these lines. A line that was held need not be given again until
    something changes, or the time has come that its outcome names."""
    taken: Counter[str] = Counter()
    extra: Counter[str] = Counter()
    placed: list[tuple[Ticket, Spot]] = []
    nowhere: list[tuple[Ticket, Nowhere]] = []
    held: dict[Want, Full | Look] = {}
    heads: list[tuple[float, int, Ticket, Iterator[Ticket]]] = []

    def push(rest: Iterator[Ticket]) -> None:
        ticket = next(rest, None)
        if ticket is not None:
            heapq.heappush(heads, (account(ticket), ticket.turn, ticket, rest))

    def account(ticket: Ticket) -> float:
        return accounts.account(ticket.key) + extra[ticket.key] * accounts.expected(ticket.key)

    for line in lines.values():
        push(accounts.order(line))
    while heads:
        known, _, ticket, rest = heapq.heappop(heads)
        if known < account(ticket):  # a task of this key has been placed from another line
            heapq.heappush(heads, (account(ticket), ticket.turn, ticket, rest))
            continue
        outcome = place(fleet, ticket.want, now, taken, ticket.before)
        if isinstance(outcome, Full | Look):
            held[ticket.want] = outcome
            continue
        if isinstance(outcome, Spot):
            placed.append((ticket, outcome))
            extra[ticket.key] += 1
            if outcome.worker is not None and ticket.want.slot:
                taken[outcome.worker.row.id] += 1
        else:
            nowhere.append((ticket, outcome))
        push(rest)
    return Decision(placed, nowhere, held)


def place(
    fleet: Fleet,
    want: Want,
    now: float,
    taken: Mapping[str, int],
    before: Place | None = None,
) -> Outcome:
    """What one task can do at this moment. `taken` counts the slots of workers that tasks before
    it will have."""
    workers = list(_fitting(fleet, want))
    free = [
        worker
        for worker in workers
        if _has_room(worker, taken.get(worker.row.id, 0), now)
        or (not want.slot and worker.row.state != "unhealthy")
    ]
    if free:
        best = min(free, key=lambda worker: _nearness(worker, taken, before))
        return Spot(best.node, best, _why(fleet, best, want, before))
    if full := [worker for worker in workers if worker.row.state != "unhealthy"]:
        others = [worker.seen_at for worker in full if worker.others]
        at = max(now, min(others) + ASK_AGAIN_S) if others else None
        return Full(sum(worker.row.slots_total for worker in full), at)
    if want.node is not None:
        return Spot(want.node, None, [])
    looks = [
        node.since + FACTS_WITHIN_S
        for node in fleet.nodes.values()
        if node.is_up and node.facts is None and now < node.since + FACTS_WITHIN_S
    ]
    if looks and len(fleet.nodes) > 1:
        return Look(max(looks))
    verdicts = judge(fleet, want)
    if not verdicts or not verdicts[0].can:
        return Nowhere(verdicts)
    return Spot(verdicts[0].node, None, verdicts[0].reasons)


def judge(fleet: Fleet, want: Want, chosen: Spot | None = None) -> list[Verdict]:
    """Every node that has not been tried, in the order in which a worker would be started on it,
    with reasons; the one that is `chosen` first, and those that can't last."""
    nodes = fleet.nodes.values()
    candidates = [_candidate(fleet, node, want) for node in nodes if node.name not in want.tried]
    asked = str(want.model), want.backend, want.device, want.context
    verdicts = rank_nodes(candidates, *asked)
    return sorted(verdicts, key=lambda each: chosen is None or each.node != chosen.node)


def _fitting(fleet: Fleet, want: Want) -> Iterator[FleetWorker]:
    """The workers that hold what is wanted."""
    if want.new:
        return
    references = fleet.references(repository_of(want.model))
    is_only = len(references) == 1 and not want.model.file and not want.model.quantization
    for reference in references:
        for worker in fleet.holding(reference):
            row = worker.row
            if (
                want.node in (None, worker.node)
                and worker.node not in want.tried
                and want.backend in (None, row.backend)
                and want.device in (None, row.device)
                and (want.context is None or (row.context or 0) >= want.context)
                and (is_only or _meant(fleet, fleet.nodes[worker.node], want.model) == reference)
            ):
                yield worker


def _has_room(worker: FleetWorker, taken: int, now: float) -> bool:
    """Perhaps also one whose slots somebody else had, since nobody may tell when they are free."""
    may_have = bool(worker.others) and not taken and now >= worker.seen_at + ASK_AGAIN_S
    return worker.free > taken or may_have


_Nearness = tuple[bool, bool, bool, int, int, bool, str]


def _nearness(worker: FleetWorker, taken: Mapping[str, int], before: Place | None) -> _Nearness:
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


def _why(fleet: Fleet, worker: FleetWorker, want: Want, before: Place | None) -> list[str]:
    candidate = _candidate(fleet, fleet.nodes[worker.node], want)
    asked = str(want.model), want.backend, want.device, want.context, before
    [verdict] = rank_nodes([candidate], *asked)
    return verdict.reasons


class _Offer(msgspec.Struct, frozen=True):
    reference: ModelRef
    quantization: str | None


def _meant(fleet: Fleet, node: FleetNode, model: ModelRef) -> str | None:
    """The model that a reference means on a node, on its disk or in memory; None if it has none."""
    there = [
        reference
        for reference in fleet.references(repository_of(model))
        if reference in node.models or node.holds(reference)
    ]
    if model.scheme != "hf" or (len(there) == 1 and not model.file and not model.quantization):
        return there[0] if there else None
    offers = [_offer(reference, node.models.get(reference)) for reference in there]
    found = choose(offers, model)
    return None if found is None else str(found.reference)


def _offer(reference: str, held: HeldModel | None) -> _Offer:
    parsed = parse(reference)
    quantization = of_file(parsed.file or "") or (held.quantization if held else None)
    return _Offer(parsed, quantization)


def _candidate(fleet: Fleet, node: FleetNode, want: Want) -> Candidate:
    facts, reference = node.facts, _meant(fleet, node, want.model)
    free: dict[str, int] = {}
    for device in facts.memory if facts else ():
        free[device.backend] = max(free.get(device.backend, 0), device.memory_free_bytes)
    held = node.models.get(reference or "")
    return Candidate(
        node=node.name,
        is_up=node.is_up,
        away=None if node.is_up else node.away,
        wakes=node.wakes and want.wake,
        lacks=node.name in want.lacking,
        backends=node.backends,
        workers=[] if want.new else [worker.row for worker in node.workers.values()],
        model_ref=reference,
        free_bytes=free,
        required_bytes=held.required_bytes if held else None,
    )
