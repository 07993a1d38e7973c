"""Sends each waiting task on its way: decides at every change, and does what was decided."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from itertools import count

from rbee.contract.errors import AllSlotsBusy, QueueFull, RbeeError
from rbee.contract.events import Queued
from rbee.contract.workers import WorkerRow
from rbee.queen.nodes.fleet import Fleet, FleetWorker, repository_of
from rbee.queen.tasks.decide import Full, Look, Spot, Ticket, Want, decide
from rbee.queen.tasks.fairness import Accounts
from rbee.queen.tasks.lines import Lines
from rbee.queen.tasks.placement import Verdict
from rbee.queen.tasks.sessions import Place
from rbee.runtime.keyring import OPERATOR, Caller

_log = logging.getLogger("queen-rbee")
# Of one who has not been told yet.
_NO_PLACE = Queued(0, 0)


class NowhereError(Exception):
    """No node can."""

    def __init__(self, verdicts: list[Verdict]) -> None:
        super().__init__("no node can")
        self.verdicts = verdicts


class Turn:
    """A task's turn, from when it comes to when it ends. `tell` hears its place each time that it
    changes; `place` is the last that it heard, None while it has not been told to wait."""

    def __init__(
        self, dispatcher: Dispatcher, caller: Caller, number: int, tell: Callable[[Queued], None]
    ) -> None:
        self.tell = tell
        self.place: Queued | None = None
        self.spot: asyncio.Future[Spot] | None = None
        self.caller = caller
        self._dispatcher = dispatcher
        self._number = number
        self._since = asyncio.get_running_loop().time()
        self._ticket: Ticket | None = None
        self._worker: FleetWorker | None = None
        self._is_served = False
        self._takes_slot = True

    async def next(self, want: Want, before: Place | None = None) -> Spot:
        """Where it may go now, or may go next; best to the worker that answered its session
        `before`. Raises QUEUE_FULL or ALL_SLOTS_BUSY if it would have to wait and nobody more may,
        and NowhereError."""
        self._let_go()
        if self._ticket is not None:
            self._dispatcher.leave(self._ticket)
            if self._ticket.want != want:
                self.place = None
        self._takes_slot = want.slot
        self._ticket = Ticket(self.caller.name, want, self._number, self._since, before)
        self.spot = asyncio.get_running_loop().create_future()
        self._dispatcher.join(self._ticket, self)
        return await self.spot

    def go(self, spot: Spot) -> None:
        """It goes there."""
        self._serve(True)
        if spot.worker is not None and self._takes_slot:
            self._take(spot.worker)
        if self.spot is not None and not self.spot.done():
            self.spot.set_result(spot)

    def fail(self, error: Exception) -> None:
        """It can go nowhere."""
        if self.spot is not None and not self.spot.done():
            self.spot.set_exception(error)

    def use(self, node: str, row: WorkerRow) -> None:
        """It goes to this worker, which may be another one than was meant."""
        if self._takes_slot and (self._worker is None or self._worker.row.id != row.id):
            self._let_go()
            self._serve(True)
            self._take(self._dispatcher.worker(node, row))

    def refused(self) -> None:
        """Its worker had no slot after all."""
        worker = self._worker
        self._let_go()
        if worker is not None:
            self._dispatcher.refused(worker)

    def accepted(self) -> None:
        """It waits no longer."""
        if self._worker is not None:
            self._dispatcher.fleet.accepted(self._worker)
        self._leave()

    def end(self, tokens: int) -> None:
        """Its task has ended, after so many tokens; 0 if it was never served."""
        self._leave()
        self._let_go()
        self._dispatcher.end(self.caller, tokens)

    def _take(self, worker: FleetWorker) -> None:
        self._worker = worker
        self._dispatcher.fleet.claim(worker, _now())

    def _leave(self) -> None:
        if self._ticket is not None:
            self._dispatcher.leave(self._ticket)
            self._ticket = None

    def _let_go(self) -> None:
        self._serve(False)
        if self._worker is not None:
            self._dispatcher.fleet.release(self._worker)
            self._worker = None

    def _serve(self, is_served: bool) -> None:
        if is_served != self._is_served:
            self._is_served = is_served
            self._dispatcher.count(self.caller.name, is_served)


class Dispatcher:
    """The only one that decides. At most `limit` tasks may wait for a slot. `operator_weight` is
    the weight of the queen's own key."""

    def __init__(self, fleet: Fleet, limit: int, operator_weight: float = 1.0) -> None:
        self.fleet = fleet
        self.limit = limit
        self.waiting = 0
        self._operator_weight = operator_weight
        self._callers: dict[str, Caller] = {}
        self._waiting_of: Counter[str] = Counter()
        self._accounts = Accounts(self._weight)
        self._lines = Lines(self._accounts)
        self._turns: dict[int, Turn] = {}
        self._arrivals = count()
        self._held: dict[Want, tuple[int, Full | Look]] = {}
        self._moved: set[Want] = set()
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None
        fleet.on_change = self._wake

    def enter(self, caller: Caller, tell: Callable[[Queued], None]) -> Turn:
        """A task of this caller has come."""
        self._callers[caller.name] = caller
        self._accounts.enter(caller.name)
        return Turn(self, caller, next(self._arrivals), tell)

    def join(self, ticket: Ticket, turn: Turn) -> None:
        """A task waits for what its ticket says."""
        self._turns[ticket.turn] = turn
        if turn.place is not None:
            self._count_waiting(turn, 1)
        self._lines.join(ticket)
        self._move(ticket.want)

    def leave(self, ticket: Ticket) -> None:
        """It waits no longer."""
        turn = self._turns.pop(ticket.turn, None)
        if turn is not None:
            if turn.place is not None:
                self._count_waiting(turn, -1)
            self._lines.leave(ticket)
            if ticket.want not in self._lines.waiting():
                self._held.pop(ticket.want, None)
            self._move(ticket.want)

    def worker(self, node: str, row: WorkerRow) -> FleetWorker:
        """A worker of the fleet, which its hive perhaps has not told yet; or one that is only
        known to who asks, if its node has been forgotten."""
        if self.fleet.worker(node, row.id) is None:
            self.fleet.worker_told(node, row, _now())
        return self.fleet.worker(node, row.id) or FleetWorker(node, row)

    def refused(self, worker: FleetWorker) -> None:
        """A worker had no slot after all."""
        self.fleet.refused(worker, _now())

    def count(self, key: str, is_served: bool) -> None:
        """One task more of this key is served, or one less."""
        (self._accounts.serve if is_served else self._accounts.unserve)(key)

    def end(self, caller: Caller, tokens: int) -> None:
        """A task of this caller has ended, after so many tokens."""
        if tokens:
            self._accounts.use(caller.name, tokens)
        self._accounts.leave(caller.name)

    def _weight(self, key: str) -> float:
        caller = self._callers[key]
        return self._operator_weight if caller is OPERATOR else caller.weight

    def _count_waiting(self, turn: Turn, change: int) -> None:
        self.waiting += change
        self._waiting_of[turn.caller.name] += change

    def _move(self, want: Want) -> None:
        """Something in this line has changed."""
        self._moved.add(want)
        self._wake()

    def _wake(self) -> None:
        """Decide, when everything that has just happened is known."""
        if not self._is_due and self._lines.waiting():
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._decide)

    def _decide(self) -> None:
        """A fault in it ends those who wait, who would wait for ever otherwise."""
        self._is_due = False
        try:
            self._decide_and_do()
        except Exception as error:
            _log.exception("no decision about the tasks that wait")
            for ticket in self._lines.tickets():
                self._turns[ticket.turn].fail(error)
                self.leave(ticket)

    def _decide_and_do(self) -> None:
        now, waiting = _now(), self._lines.waiting()
        lines = {want: line for want, line in waiting.items() if self._may_go_on(want, now)}
        decision = decide(self.fleet, lines, self._accounts, now)
        for want in lines:
            self._held.pop(want, None)
        for ticket, spot in decision.placed:
            self._lines.go(ticket)
            self._turns[ticket.turn].go(spot)
        for ticket, nowhere in decision.nowhere:
            self._turns[ticket.turn].fail(NowhereError(nowhere.verdicts))
            self.leave(ticket)
        for want, outcome in decision.held.items():
            self._held[want] = self.fleet.stamp(repository_of(want.model)), outcome
        for want in {*self._moved, *lines}:
            self._tell(want)
        self._moved.clear()
        self._set_timer()

    def _may_go_on(self, want: Want, now: float) -> bool:
        if want not in self._held:
            return True
        stamp, outcome = self._held[want]
        if isinstance(outcome, Look) or (outcome.at is not None and now >= outcome.at):
            return True
        return stamp != self.fleet.stamp(repository_of(want.model))

    def _tell(self, want: Want) -> None:
        """Tell everybody in a full line whose position has changed."""
        _, outcome = self._held.get(want, (None, None))
        order = list(self._lines.order(want))
        if isinstance(outcome, Full):
            for ticket in order:
                self._hold(ticket, outcome)
        held = [self._turns[ticket.turn] for ticket in order if ticket.turn in self._turns]
        held = [turn for turn in held if turn.place is not None]
        for position, turn in enumerate(held, start=1):
            if turn.place is not None and turn.place.position != position:
                turn.place = Queued(position, len(held))
                turn.tell(turn.place)

    def _hold(self, ticket: Ticket, outcome: Full) -> None:
        """Let a task wait, unless too many do."""
        turn = self._turns[ticket.turn]
        if turn.place is not None or not self._lines.waits(ticket):
            return
        error = self._too_many(turn.caller, outcome.slots)
        if error is None:
            self._count_waiting(turn, 1)
            turn.place = _NO_PLACE
        else:
            turn.fail(error)
            self.leave(ticket)

    def _too_many(self, caller: Caller, slots: int) -> RbeeError | None:
        """Why another task of this caller may not wait."""
        busy = {"slots_total": slots, "slots_busy": slots}
        if not self.limit:
            return AllSlotsBusy(**busy, waiting=0)
        own, limit = self._waiting_of[caller.name], caller.queue_limit
        if limit is not None and own >= limit:
            return QueueFull(
                f"All slots are busy, and {own} requests of the key {caller.name} are waiting, as "
                "many as it may have.",
                **busy,
                waiting=own,
                key=caller.name,
                queue_limit=limit,
            )
        if self.waiting >= self.limit:
            return QueueFull(**busy, waiting=self.waiting)
        return None

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        times = [outcome.at for _, outcome in self._held.values() if outcome.at is not None]
        self._timer = None
        if times:
            self._timer = asyncio.get_running_loop().call_at(min(times), self._wake)


def _now() -> float:
    return asyncio.get_running_loop().time()
