"""Chooses the node for work that is no question, as for a task: but a worker that holds the model
already is no reason, for what comes is beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from rbee.contract import errors
from rbee.contract.errors import RbeeError
from rbee.contract.registry import LOCAL
from rbee.queen.nodes.fleet import Fleet
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.node_wish import NodeWish
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.tasks.decide import Spot, judge
from rbee.queen.tasks.dispatcher import Dispatcher, NowhereError, Turn
from rbee.queen.tasks.sessions import Place
from rbee.queen.tasks.wants import Want
from rbee.runtime.event_queue import EventQueue
from rbee.runtime.keyring import caller
from rbee.runtime.narration import Narrator

_DISCOVER_WITHIN_S = 1.0

# What one node can't do and another may.
OTHERS_MAY = (
    errors.BackendUnavailable,
    errors.ConnectionTimeout,
    errors.DiskFull,
    errors.InvalidApiKey,
    errors.KeyNotProven,
    errors.LoadingTimeout,
    errors.ModelNotFound,
    errors.NodeNotFound,
    errors.PortBlocked,
    errors.ProgramFailed,
    errors.ShuttingDown,
    errors.SshConnectionFailed,
    errors.VersionMismatch,
    errors.VramExhausted,
    errors.WorkerCrashed,
)
# On how many nodes a model's worker may end before it is ready.
CRASHES = 3


async def informed(want: Want, nodes: Nodes) -> Want:
    """The same, once something is known of every node that may be meant. Where there is only this
    machine, it is meant."""
    if want.node is not None:  # perhaps by its host
        return replace(want, node=nodes.hive(want.node).node)
    if not nodes.registry.rows():
        return replace(want, node=LOCAL)
    await nodes.discover(_DISCOVER_WITHIN_S, wait_for_unreachable=False)
    if want.model.scheme != "file":
        return want
    return replace(want, lacking=frozenset(await nodes.without_file(str(want.model))))


def without(want: Want, node: str, error: RbeeError) -> Want:
    """The same, but for a node that could not. No node is woken for a model that is nowhere."""
    wake = want.wake and (not isinstance(error, errors.ModelNotFound) or want.model.scheme != "hf")
    return replace(want, tried=want.tried | {node}, wake=wake)


async def next_spot(
    turn: Turn, want: Want, first: RbeeError | None, before: Place | None = None
) -> Spot:
    """Where it may go. If no node can, this machine says why; if none is left, raises the error of
    the `first` that was tried. `before` is the worker that answered its session."""
    if want.node in want.tried:
        assert first is not None  # or it would not have been tried
        raise first
    try:
        return await turn.next(want, before)
    except NowhereError:
        if first is not None:
            raise first from None
        return Spot(LOCAL, None, [])


class NodeChoice:
    """An `OnNode`: it asks the dispatcher, as tasks do."""

    def __init__(self, nodes: Nodes, dispatcher: Dispatcher) -> None:
        self._nodes = nodes
        self._dispatcher = dispatcher

    async def __call__(
        self, wish: NodeWish, events: EventQueue, work: Callable[[Hive], Awaitable[None]]
    ) -> None:
        asked = Want(wish.model, wish.node, wish.backend, wish.device, slot=False, new=True)
        want = await informed(asked, self._nodes)
        first: RbeeError | None = None
        crashes = 0
        while True:
            spot = await self._spot(want, first)
            if wish.node is None:
                narrator = Narrator(events.put_nowait)
                explain(self._dispatcher.fleet, want, spot, first, wish.explain, narrator)
            try:
                hive = self._nodes.hive(spot.node)
                say = Narrator(events.put_nowait, hive.node).say
                if await self._nodes.may_use(hive, want.node is not None, say):
                    await work(hive)
                    return
            except OTHERS_MAY as error:
                first = first or error
                crashes += isinstance(error, errors.WorkerCrashed)
                if crashes == CRASHES:
                    raise first from None
                want = without(want, spot.node, error)

    async def _spot(self, want: Want, first: RbeeError | None) -> Spot:
        turn = self._dispatcher.enter(caller.get(), lambda _: None)
        try:
            return await next_spot(turn, want, first)
        finally:
            turn.end(0)


def explain(
    fleet: Fleet,
    want: Want,
    spot: Spot,
    first: RbeeError | None,
    everything: bool,
    narrator: Narrator,
) -> None:
    """Say which node it is, and why; if `everything` is asked for, also what was thought of the
    others. `first` is why the one before could not."""
    if first is not None:
        _narrate(narrator, f"{first.message.rstrip('.')}; trying {spot.node}")
    elif want.node is not None:
        if everything:
            _narrate(narrator, f"{LOCAL}, the only node there is")
    else:
        for verdict in judge(fleet, want, spot) if everything else ():
            _narrate(narrator, str(verdict))
        if spot.reasons:
            _narrate(narrator, f"{spot.node}, since {', '.join(spot.reasons)}")


def _narrate(narrator: Narrator, text: str) -> None:
    narrator.say("queen-rbee", "🧭", f"placement: {text}")
