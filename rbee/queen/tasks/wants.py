"""What waiting tasks want, and what of a fleet is that."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

import msgspec

from rbee.contract.model_ref import ModelRef, parse
from rbee.contract.nodes import HeldModel
from rbee.contract.quantization import of_file
from rbee.gguf.choice import choose
from rbee.queen.nodes.fleet import Fleet, FleetNode, FleetWorker, repository_of
from rbee.queen.tasks.sessions import Place

# Nodes tell in it how much memory they lack.
MB = 1_000_000


class Refusal(msgspec.Struct, frozen=True, eq=False):
    """A node had only so much memory free for a model that needs more, in bytes, at that time of
    the fleet's clock. Two of one node are the same: their tasks wait in one line."""

    node: str
    required: int
    available: int
    at: float = float("inf")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refusal) and self.node == other.node

    def __hash__(self) -> int:
        return hash(self.node)

    def holds(self, node: FleetNode) -> bool:
        """Whether nothing newer is known of the node's memory."""
        return node.told_at <= self.at

    def is_about(self, needs: int) -> bool:
        """Whether it is a model that `needs` so many bytes: nodes tell them in MB, rounded up."""
        return 0 <= self.required - needs < MB


class Want(msgspec.Struct, frozen=True):
    """What tasks of one line have in common. `context`: at least so many tokens. `slot`: they take
    a slot of their worker. `force`: load the model even if it may not fit. `new`: a worker that
    there is already is not wanted, and nobody waits for room. `to_run`: a worker will run it, or
    else the model is fetched only. `wake`: a node that sleeps may be woken, if no other can.
    `tried` are nodes that could not, `lacking` those where the model is a file that they don't
    have, `refused` those that said that they have too little memory."""

    model: ModelRef
    node: str | None = None
    backend: str | None = None
    device: int | None = None
    context: int | None = None
    slot: bool = True
    force: bool = False
    new: bool = False
    to_run: bool = True
    wake: bool = True
    tried: frozenset[str] = frozenset()
    lacking: frozenset[str] = frozenset()
    refused: frozenset[Refusal] = frozenset()

    @property
    def makes_room(self) -> bool:
        """Whether idle workers may end for it: not for what a person forces."""
        return self.to_run and not self.force

    def refusal(self, node: str) -> Refusal | None:
        """What the node said, if it refused."""
        return next((each for each in self.refused if each.node == node), None)


class Ticket(msgspec.Struct, eq=False):
    """A task that waits: the name of its key, what it wants, the number of its arrival, and the
    worker that answered its session `before`."""

    key: str
    want: Want
    turn: int
    since: float
    before: Place | None = None


# The waiting tasks of one line by their keys, and each by the number of its arrival, in order.
Line = Mapping[str, Mapping[int, Ticket]]


def oldest(line: Line, without: Container[int] = ()) -> Ticket:
    """The task that has waited for the longest time, `without` those of these numbers."""
    firsts = (
        next((ticket for turn, ticket in tasks.items() if turn not in without), None)
        for tasks in line.values()
    )
    return min((each for each in firsts if each is not None), key=lambda ticket: ticket.turn)


def fitting(fleet: Fleet, want: Want) -> Iterator[FleetWorker]:
    """The workers that hold what is wanted."""
    if want.new:
        return
    is_only = is_only_one(fleet, want)
    for reference in fleet.references(repository_of(want.model)):
        for worker in fleet.holding(reference):
            row = worker.row
            if (
                want.node in (None, worker.node)
                and worker.node not in want.tried
                and want.backend in (None, row.backend)
                and want.device in (None, row.device)
                and (want.context is None or (row.context or 0) >= want.context)
                and (is_only or meant(fleet, fleet.nodes[worker.node], want.model) == reference)
            ):
                yield worker


def is_only_one(fleet: Fleet, want: Want) -> bool:
    """Whether there is one model only that can be meant, wherever it is."""
    references = fleet.references(repository_of(want.model))
    return len(references) == 1 and not want.model.file and not want.model.quantization


class _Offer(msgspec.Struct, frozen=True):
    reference: ModelRef
    quantization: str | None


def meant(fleet: Fleet, node: FleetNode, model: ModelRef) -> str | None:
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


def needed_bytes(fleet: Fleet, node: FleetNode, want: Want) -> int | None:
    """The memory that a worker for it needs there, as far as is known."""
    refusal = want.refusal(node.name)
    held = node.models.get(meant(fleet, node, want.model) or "")
    known = held.required_bytes if held else None
    if refusal is None or (known is not None and refusal.is_about(known)):
        return known
    return max(known or 0, refusal.required)


def _offer(reference: str, held: HeldModel | None) -> _Offer:
    parsed = parse(reference)
    quantization = of_file(parsed.file or "") or (held.quantization if held else None)
    return _Offer(parsed, quantization)
