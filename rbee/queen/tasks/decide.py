"""Which waiting task goes where, now: one decision over all nodes and all lines.

It is made from what is known, the time and the settings, and changes nothing.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping

import msgspec

from rbee.queen.nodes.fleet import Fleet, FleetNode, FleetWorker, Start, repository_of
from rbee.queen.tasks.fairness import Accounts
from rbee.queen.tasks.placement import Candidate, Verdict, rank_nodes
from rbee.queen.tasks.replicas import Replica, find_replica
from rbee.queen.tasks.room import Claims, Room, Rules, devices, find_room, free_bytes, swap_at
from rbee.queen.tasks.sessions import Place
from rbee.queen.tasks.slots import has_slot, look_again_at, nearness
from rbee.queen.tasks.wants import Line, Ticket, Want, fitting, meant, needed_bytes, oldest

# A node whose hive has just been found tells its facts in a moment.
FACTS_WITHIN_S = 2.0
# Whoever waits for room looks for it so often, whatever is told meanwhile.
LOOK_AGAIN_S = 1.0
# A place for a second worker is looked for so often, and by so many lines in a second.
REPLICATE_AGAIN_S, _REPLICATE_APART_S = 10.0, 0.05


class Spot(msgspec.Struct, frozen=True):
    """Go to this node, and there to this worker; without one, have one found or started. `ends` are
    idle workers of others that end first; `start` is what the start will take, if known."""

    node: str
    worker: FleetWorker | None
    reasons: list[str]
    ends: tuple[FleetWorker, ...] = ()
    start: Start | None = None


class Full(msgspec.Struct, frozen=True):
    """Every worker that holds the model is full; `slots` are those of all of them. Look again at
    `at`, in case nobody tells that one is free."""

    slots: int
    at: float | None


class Crowded(msgspec.Struct, frozen=True):
    """Workers of other models have the memory, and can't be ended yet; `slots` are theirs. `keeps`
    are those that take no new task, so that they become idle. Look again at `at`."""

    slots: int
    at: float
    keeps: tuple[str, ...] = ()


class Look(msgspec.Struct, frozen=True):
    """What is known is not enough yet, but will be at that time."""

    at: float


class Nowhere(msgspec.Struct, frozen=True):
    """No node can, for the reasons given."""

    verdicts: list[Verdict]


Held = Full | Crowded | Look
Outcome = Spot | Held | Nowhere


class Decision(msgspec.Struct, frozen=True):
    """`placed` are in the order in which they are served; `held` says for each line what the rest
    of it waits for. `replicas` are workers to start for lines that have stood for too long."""

    placed: list[tuple[Ticket, Spot]]
    nowhere: list[tuple[Ticket, Nowhere]]
    held: dict[Want, Held]
    replicas: list[Replica]


def decide(
    fleet: Fleet,
    lines: Mapping[Want, Line],
    accounts: Accounts,
    now: float,
    rules: Rules = Rules(),  # noqa: B008  it can't change
) -> Decision:
    """What happens to the tasks of these lines. A line that was held need not be given again until
    something changes, or the time has come that its outcome names; but one that keeps workers
    must be given each time."""
    claims = Claims(rules)
    extra: Counter[str] = Counter()
    placed: list[tuple[Ticket, Spot]] = []
    nowhere: list[tuple[Ticket, Nowhere]] = []
    held: dict[Want, Held] = {}
    heads: list[tuple[float, int, Ticket, Iterator[Ticket]]] = []

    def push(rest: Iterator[Ticket]) -> None:
        ticket = next(rest, None)
        if ticket is not None:
            heapq.heappush(heads, (account(ticket), ticket.turn, ticket, rest))

    def account(ticket: Ticket) -> float:
        return accounts.account(ticket.key) + extra[ticket.key] * accounts.expected(ticket.key)

    _keep_workers(fleet, lines, claims, now)
    for line in lines.values():
        push(accounts.order(line))
    while heads:
        known, _, ticket, rest = heapq.heappop(heads)
        if known < account(ticket):  # a task of this key has been placed from another line
            heapq.heappush(heads, (account(ticket), ticket.turn, ticket, rest))
            continue
        outcome = place(fleet, ticket, claims, now)
        if isinstance(outcome, Full | Crowded | Look):
            held[ticket.want] = outcome
            continue
        if isinstance(outcome, Spot):
            placed.append((ticket, outcome))
            extra[ticket.key] += 1
            _claim(claims, ticket, outcome)
        else:
            nowhere.append((ticket, outcome))
        push(rest)
    going = {ticket.turn for ticket, _ in placed}
    replicas = _replicate(fleet, lines, held, going, claims, now)
    return Decision(placed, nowhere, held, replicas)


def place(fleet: Fleet, ticket: Ticket, claims: Claims, now: float) -> Outcome:
    """What one task can do at this moment, after what has been decided for others."""
    want, before = ticket.want, ticket.before
    workers = [each for each in fitting(fleet, want) if each.row.state != "unhealthy"]
    loaded = [each for each in workers if each.row.state != "loading"]
    free = [
        worker
        for worker in loaded or workers
        if (not want.slot and not worker.is_ending) or has_slot(fleet, worker, want, claims, now)
    ]
    if free:
        best = min(free, key=lambda worker: nearness(worker, claims.taken, before))
        return Spot(best.node, best, _why(fleet, best, want, before))
    if workers:
        return Full(
            sum(worker.row.slots_total for worker in workers), look_again_at(workers, claims, now)
        )
    waits = _waits_for_start(fleet, ticket, claims, now)
    if waits is not None:
        return waits
    if want.node is not None:
        return _on_named_node(fleet, ticket, claims, now)
    looks = [
        node.since + FACTS_WITHIN_S
        for node in fleet.nodes.values()
        if node.is_up and node.facts is None and now < node.since + FACTS_WITHIN_S
    ]
    if looks and len(fleet.nodes) > 1:
        return Look(max(looks))
    return _on_best_node(fleet, ticket, claims, now)


def judge(
    fleet: Fleet, want: Want, chosen: Spot | None = None, starts: list[Start] | None = None
) -> list[Verdict]:
    """Every node that has not been tried, in the order in which a worker would be started on it,
    with reasons; the one that is `chosen` first, and those that can't last."""
    nodes = fleet.nodes.values()
    candidates = [
        _candidate(fleet, node, want, starts or []) for node in nodes if node.name not in want.tried
    ]
    asked = str(want.model), want.backend, want.device, want.context
    verdicts = rank_nodes(candidates, *asked)
    if chosen is None:
        return verdicts
    others = [each for each in verdicts if each.node != chosen.node]
    if chosen.ends or chosen.start is not None:  # which has taken the memory already
        return [Verdict(chosen.node, True, chosen.reasons), *others]
    return [*(each for each in verdicts if each.node == chosen.node), *others]


# Where a worker is started


def _on_named_node(fleet: Fleet, ticket: Ticket, claims: Claims, now: float) -> Outcome:
    """Its hive says why it can't, if it can't, unless it has said so before."""
    want = ticket.want
    assert want.node is not None
    node = fleet.nodes.get(want.node)
    room = None
    if node is not None and want.to_run:
        room = find_room(fleet, node, ticket, claims, now)
    if room is not None:
        return _in_room(room, ticket, [], claims, now)
    if want.refusal(want.node) is not None:
        return Nowhere(judge(fleet, want, starts=claims.starts))
    return Spot(want.node, None, [])


def _on_best_node(fleet: Fleet, ticket: Ticket, claims: Claims, now: float) -> Outcome:
    """Where it fits and the model is on disk; else where an idle worker can end for it; else where
    it must be fetched first; else it waits for room."""
    want = ticket.want
    verdicts = judge(fleet, want, starts=claims.starts)
    best = verdicts[0] if verdicts and verdicts[0].can else None
    if best is not None and (want.force or meant(fleet, fleet.nodes[best.node], want.model)):
        return _start_on(fleet, best, ticket, claims, now)
    rooms = [
        room
        for node in _known_to_need(fleet, want)
        if (room := find_room(fleet, node, ticket, claims, now)) is not None
    ]
    room = min(rooms, key=lambda each: (each.at is not None, *each.cost()), default=None)
    if room is not None and (room.at is None or best is None):
        return _in_room(room, ticket, ["an idle worker can end for it"], claims, now)
    return _start_on(fleet, best, ticket, claims, now) if best else Nowhere(verdicts)


def _known_to_need(fleet: Fleet, want: Want) -> Iterable[FleetNode]:
    """The nodes of which it is known how much memory the model needs there, if that counts."""
    if not want.makes_room:
        return ()
    stored = fleet.references(repository_of(want.model))
    found = {node.name: node for reference in stored for node in fleet.storing(reference)}
    refused = {
        each.node: fleet.nodes[each.node] for each in want.refused if each.node in fleet.nodes
    }
    out = want.tried | want.lacking
    return [node for name, node in (found | refused).items() if name not in out]


def _start_on(fleet: Fleet, best: Verdict, ticket: Ticket, claims: Claims, now: float) -> Outcome:
    room = find_room(fleet, fleet.nodes[best.node], ticket, claims, now)
    fits = room is not None and room.fits
    start = _start(room, ticket) if room is not None and fits and ticket.want.to_run else None
    return Spot(best.node, None, best.reasons, start=start)


def _in_room(room: Room, ticket: Ticket, reasons: list[str], claims: Claims, now: float) -> Outcome:
    if room.at is None:
        return Spot(room.node, None, reasons, room.ends, _start(room, ticket))
    due = [
        worker.row.id for worker in room.ends if now >= swap_at(worker, ticket, claims.rules, now)
    ]
    later = [room.at] if room.at > now else []
    slots = sum(worker.row.slots_total for worker in room.ends) or 1
    return Crowded(slots, min([now + LOOK_AGAIN_S, *later]), tuple(due))


def _start(room: Room, ticket: Ticket) -> Start:
    device, repository = room.device, repository_of(ticket.want.model)
    place = room.node, device.backend, device.index
    return Start(
        *place,
        repository,
        room.needs_bytes,
        makes_room=bool(room.ends),
        takes_slot=ticket.want.slot,
    )


def _waits_for_start(fleet: Fleet, ticket: Ticket, claims: Claims, now: float) -> Outcome | None:
    """For a worker that is being started, and of which its hive does not tell yet: unless its model
    must be fetched first, and another node has that and room."""
    want = ticket.want
    starts = [each for each in (*fleet.starts, *claims.starts) if _serves(each, want)]
    if want.new or not starts:
        return None
    start = min(starts, key=lambda each: not _has_model(fleet, each.node, want))
    if want.node is None and not _has_model(fleet, start.node, want):
        other = _on_best_node(fleet, ticket, claims, now)
        if isinstance(other, Spot) and not other.ends and _has_model(fleet, other.node, want):
            return other
    spot = Spot(start.node, None, ["a worker for it is being started"])
    return Crowded(1, now + LOOK_AGAIN_S) if start.makes_room else spot


def _has_model(fleet: Fleet, name: str, want: Want) -> bool:
    node = fleet.nodes.get(name)  # it may have been forgotten
    return node is not None and meant(fleet, node, want.model) is not None


def _serves(start: Start, want: Want) -> bool:
    """Whether the worker that is being started will do."""
    return (
        not start.is_there
        and start.repository == repository_of(want.model)
        and want.node in (None, start.node)
        and start.node not in want.tried
        and want.backend in (None, start.backend)
        and want.device in (None, start.index)
    )


# What is decided for others at the same moment


def _keep_workers(fleet: Fleet, lines: Mapping[Want, Line], claims: Claims, now: float) -> None:
    """Find the workers that waiting tasks can use, and keep those from them that must end for a
    line that has lost its patience; who came first chooses first."""
    homeless = [oldest(line) for want, line in lines.items() if not _is_held(fleet, want)]
    if not homeless:
        return
    claims.wanted = {worker.row.id for want in lines for worker in fitting(fleet, want)}
    for ticket in sorted(homeless, key=lambda each: each.turn):
        if not ticket.want.makes_room or now < ticket.since + claims.rules.swap_patience_s:
            continue
        outcome = place(fleet, ticket, claims, now)
        if isinstance(outcome, Spot):
            names: Iterable[str] = (worker.row.id for worker in outcome.ends)
        else:
            names = outcome.keeps if isinstance(outcome, Crowded) else ()
        for name in names:
            claims.kept.setdefault(name, ticket.want)


def _is_held(fleet: Fleet, want: Want) -> bool:
    return any(worker.row.state != "unhealthy" for worker in fitting(fleet, want))


def _claim(claims: Claims, ticket: Ticket, spot: Spot) -> None:
    if spot.worker is not None and ticket.want.slot:
        name = spot.worker.row.id
        claims.taken[name] = claims.taken.get(name, 0) + 1
    if spot.start is not None:
        claims.starts.append(spot.start)
    claims.ended.update(worker.row.id for worker in spot.ends)


def _replicate(
    fleet: Fleet,
    lines: Mapping[Want, Line],
    held: dict[Want, Held],
    going: Container[int],
    claims: Claims,
    now: float,
) -> list[Replica]:
    """The next worker to start for a line that has stood for too long; the others are looked at a
    moment later, each at a time of its own."""
    after = claims.rules.replicate_after_s
    replicas: list[Replica] = []
    others: int | None = None
    for want, outcome in held.items():
        if not after or not isinstance(outcome, Full):
            continue
        at = oldest(lines[want], going).since + after
        if now >= at and others is None:
            others, at = 0, now + REPLICATE_AGAIN_S
            replica = find_replica(fleet, want, claims, now)
            if replica is not None:
                claims.starts.append(replica.start)
                replicas.append(replica)
        elif now >= at:
            others = (others or 0) + 1
            at = now + others * _REPLICATE_APART_S
        held[want] = Full(outcome.slots, at if outcome.at is None else min(at, outcome.at))
    return replicas


# What is known of a node


def _why(fleet: Fleet, worker: FleetWorker, want: Want, before: Place | None) -> list[str]:
    candidate = _candidate(fleet, fleet.nodes[worker.node], want, [])
    asked = str(want.model), want.backend, want.device, want.context, before
    [verdict] = rank_nodes([candidate], *asked)
    return verdict.reasons


def _candidate(fleet: Fleet, node: FleetNode, want: Want, starts: list[Start]) -> Candidate:
    free: dict[str, int] = {}
    for backend in node.facts.backends if node.facts else ():
        index = want.device if backend == want.backend else None
        found = [
            free_bytes(fleet, node, device, starts) for device in devices(node, backend, index)
        ]
        if found:
            free[backend] = max(found)
    refusal = want.refusal(node.name)
    if refusal is not None and refusal.holds(node):
        known = free or {want.backend or (node.backends or ["cpu"])[0]: refusal.available}
        free = {backend: min(each, refusal.available) for backend, each in known.items()}
    return Candidate(
        node=node.name,
        is_up=node.is_up,
        away=None if node.is_up else node.away,
        wakes=node.wakes and want.wake,
        lacks=node.name in want.lacking,
        backends=node.backends,
        workers=[] if want.new else [worker.row for worker in node.workers.values()],
        model_ref=meant(fleet, node, want.model),
        free_bytes=free,
        required_bytes=needed_bytes(fleet, node, want),
    )
