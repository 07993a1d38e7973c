"""Does a task, or work that is no question, on the first node that can: one way for both, from the
decision where it may go to the error that is told if no node can."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from msgspec.structs import replace

from rbee.contract import errors
from rbee.contract.errors import RbeeError
from rbee.contract.events import Event
from rbee.contract.registry import LOCAL
from rbee.queen.nodes.fleet import Fleet
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.node_wish import NodeWish
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.tasks.decide import Spot, judge
from rbee.queen.tasks.dispatcher import Dispatcher, NowhereError, Turn
from rbee.queen.tasks.placement import Verdict
from rbee.queen.tasks.room_maker import RoomMaker
from rbee.queen.tasks.sessions import Session
from rbee.queen.tasks.wants import MB, Refusal, Want
from rbee.runtime.event_queue import EventQueue
from rbee.runtime.keyring import Caller, caller
from rbee.runtime.log import correlation_id
from rbee.runtime.narration import Narrator

Work: TypeAlias = Callable[[Hive, Spot], Awaitable[None]]

_DISCOVER_WITHIN_S = 1.0
# What one node can't do and another may.
_OTHERS_MAY = (
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
_CRASHES = 3


class NodeChoice:
    """Asks the dispatcher where something may go, and tries it there. As an `OnNode`, for work that
    is no question: a worker that holds the model already is no reason then, for what comes is
    beside it."""

    def __init__(self, nodes: Nodes, dispatcher: Dispatcher, room: RoomMaker) -> None:
        self._nodes = nodes
        self._dispatcher = dispatcher
        self._room = room

    async def __call__(
        self, wish: NodeWish, events: EventQueue, work: Callable[[Hive], Awaitable[None]]
    ) -> None:
        """The memory that was chosen is kept until the work has ended."""
        place = wish.node, wish.backend, wish.device
        want = Want(wish.model, *place, slot=False, force=wish.force, new=True, to_run=wish.to_run)
        turn = self._dispatcher.enter(caller.get(), lambda _: None, correlation_id.get())

        async def begin(hive: Hive, _: Spot) -> None:
            turn.is_no_question()
            await work(hive)

        try:
            await self.do(want, turn, events.put_nowait, begin, explains=wish.explain)
        finally:
            turn.end(0)

    async def do(
        self,
        want: Want,
        turn: Turn,
        tell: Callable[[Event], None],
        work: Work,
        *,
        explains: bool = False,
        session: Session | None = None,
        is_sent: Callable[[], bool] = lambda: False,
    ) -> None:
        """Do the work on the first node that can; with `explains`, say what is thought of every
        node. Where the `session` was answered before is preferred. Once `is_sent`, a worker may
        have read the request, and a crash is its end. If no node can, raises the error of the first
        that was tried, with what the others lack."""
        is_named = want.node is not None
        session = session or Session()
        want = await self._informed(want)
        failed: dict[str, RbeeError] = {}
        told: Spot | None = None
        crashes = 0
        while True:
            spot = await _next(turn, want, failed, session)
            if not is_named and not is_same(told, spot):
                first = next(iter(failed.values()), None)
                _explain(self._nodes.fleet, want, spot, first, explains, Narrator(tell))
            told = spot
            try:
                hive = self._nodes.hive(spot.node)
                say = Narrator(tell, hive.node).say
                if not await self._nodes.may_use(hive, want.node is not None, say):
                    continue
                used = await self._room.make_room(spot, want.model, say)
                if used is not None:
                    turn.kept(used)
                    continue
                await work(hive, spot)
                return
            except errors.AllSlotsBusy:
                if not self._dispatcher.queue.limit:
                    raise
                turn.refused()
            except _OTHERS_MAY as error:
                if isinstance(error, errors.InvalidApiKey) and spot.node != LOCAL:
                    error.details.setdefault("node", spot.node)  # it is not the queen's own
                is_only = want.node is not None
                if is_only or not isinstance(error, errors.NodeNotFound):  # removed meanwhile
                    failed.setdefault(spot.node, error)
                crashes += isinstance(error, errors.WorkerCrashed)
                if isinstance(error, errors.WorkerCrashed) and (is_sent() or crashes == _CRASHES):
                    raise
                want = _after(error, want, spot)

    async def _informed(self, want: Want) -> Want:
        """The same, once something is known of every node that may be meant. Where there is only
        this machine, it is meant."""
        nodes = self._nodes
        if want.node is not None:  # perhaps by its host
            return replace(want, node=nodes.hive(want.node).node)
        if not nodes.registry.rows():
            return replace(want, node=LOCAL)
        await nodes.discover(_DISCOVER_WITHIN_S, wait_for_unreachable=False)
        if want.model.scheme != "file":
            return want
        return replace(want, lacking=frozenset(await nodes.without_file(str(want.model))))


async def _next(turn: Turn, want: Want, failed: Mapping[str, RbeeError], session: Session) -> Spot:
    """Where it may go. If no node can, this machine says why; if it has, or if another has been
    tried, raises why."""
    if want.node in want.tried:
        raise failed[want.node]
    try:
        return await turn.next(want, session.place)
    except NowhereError as error:
        if failed:
            raise _nowhere(want, failed, error.verdicts, turn.caller) from None
        spot = Spot(LOCAL, None, ["no node can, and this machine says why"])
        turn.go(spot)
        return spot


def _nowhere(
    want: Want, failed: Mapping[str, RbeeError], verdicts: list[Verdict], who: Caller
) -> RbeeError:
    """The error of the first node that was tried, with why each of the others can't, by name, if
    `who` asks may know that of them."""
    (node, first), *_ = failed.items()
    if want.node is not None or who.role != "manage":
        return first
    reasons = {verdict.node: ", ".join(verdict.reasons) for verdict in verdicts}
    reasons |= {name: error.message.rstrip(".") for name, error in failed.items()}
    others = {
        name: reason
        for name, reason in sorted(reasons.items())
        if name != node and reason != first.message.rstrip(".")
    }
    if others:
        first.details["others"] = others
        said = "; ".join(f"{name}: {reason}" for name, reason in others.items())
        first.message = f"{first.message.rstrip('.')}. No other node can: {said}."
    return first


def _after(error: RbeeError, want: Want, spot: Spot) -> Want:
    """The same, but for a node that could not. The first time that it has too little memory, it
    tells what the model needs: workers may end for it there. No node is woken for a model that is
    nowhere."""
    if isinstance(error, errors.VramExhausted) and want.to_run:
        required, available = error.details["required"], error.details["available"]
        is_known = isinstance(required, int) and isinstance(available, int)
        if is_known and spot.worker is None and want.refusal(spot.node) is None:
            now = asyncio.get_running_loop().time()
            refusal = Refusal(spot.node, required * MB, available * MB, now)
            return replace(want, refused=want.refused | {refusal})
    wake = want.wake and (not isinstance(error, errors.ModelNotFound) or want.model.scheme != "hf")
    return replace(want, tried=want.tried | {spot.node}, wake=wake)


def is_same(told: Spot | None, spot: Spot) -> bool:
    """Whether both are the same worker, or a start on the same node."""
    return told is not None and (told.node, told.worker) == (spot.node, spot.worker)


def _explain(
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
