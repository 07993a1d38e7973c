"""Sends each waiting task on its way: decides at every change, and does what was decided."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import count

from rbee.contract.events import Queued
from rbee.contract.queue import Outcome, TaskState
from rbee.contract.workers import WorkerRow
from rbee.queen.nodes.fleet import Fleet, FleetWorker, repository_of
from rbee.queen.tasks.decide import Crowded, Full, Held, Look, Spot, decide
from rbee.queen.tasks.decisions import DecisionLog, why_not
from rbee.queen.tasks.fairness import Accounts
from rbee.queen.tasks.lines import Lines
from rbee.queen.tasks.placement import Verdict
from rbee.queen.tasks.queue_limit import QueueLimit
from rbee.queen.tasks.replicas import Replica
from rbee.queen.tasks.room import Rules
from rbee.queen.tasks.sessions import Place
from rbee.queen.tasks.wants import Ticket, Want
from rbee.runtime.keyring import OPERATOR, Caller

# While tasks wait, it is decided so often at least: a scheduler that does not stands still.
_DECIDE_EVERY_S = 1.0
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
    changes; `place` is the last that it heard, None while it has not been told to wait. `went` is
    where it went last."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        caller: Caller,
        number: int,
        tell: Callable[[Queued], None],
        task_id: str,
    ) -> None:
        self.tell = tell
        self.went: Spot | None = None
        self.place: Queued | None = None
        self.spot: asyncio.Future[Spot] | None = None
        self.caller = caller
        self._dispatcher = dispatcher
        self._number = number
        self._since = asyncio.get_running_loop().time()
        self._ticket: Ticket | None = None
        self._worker: FleetWorker | None = None
        self._starts: Spot | None = None
        self._is_served = False
        self._is_counted = True
        self._takes_slot = True
        self._task_id = task_id
        self._went_at: float | None = None
        self._is_accepted = False
        self._has_waited = False

    @property
    def state(self) -> TaskState:
        """Whether it waits, goes to where it was placed, or is answered there."""
        if self._is_accepted:
            return "running"
        return "waiting" if self._went_at is None else "starting"

    def waited_s(self, now: float) -> float:
        """The seconds since it came, until it was placed; `now` is the event loop's time."""
        return (now if self._went_at is None else self._went_at) - self._since

    @property
    def worker(self) -> FleetWorker | None:
        """The worker whose slot it has, or wants."""
        return self._worker

    def note(self, outcome: Outcome, found: Spot | list[str]) -> None:
        """Remember a decision on it."""
        model = str(self._ticket.want.model) if self._ticket else ""
        self._dispatcher.decisions.add(self._task_id, self.caller.name, model, outcome, found)

    async def next(self, want: Want, before: Place | None = None) -> Spot:
        """Where it may go now, or may go next; best to the worker that answered its session
        `before`. Raises QUEUE_FULL or ALL_SLOTS_BUSY if it would have to wait and nobody more may,
        and NowhereError."""
        self._let_go()
        if self._ticket is not None:
            self._dispatcher.leave(self._ticket)
            if self._ticket.want != want:
                self.place = None
        self._takes_slot, self._went_at, self._is_accepted = want.slot, None, False
        self._ticket = Ticket(self.caller.name, want, self._number, self._since, before)
        self.spot = asyncio.get_running_loop().create_future()
        self._dispatcher.join(self._ticket, self)
        return await self.spot

    def go(self, spot: Spot) -> None:
        """It goes there."""
        self.went, self._went_at = spot, _now()
        self.note("placed", spot)
        self._serve(True)
        if spot.worker is not None and self._takes_slot:
            self._take(spot.worker)
        if spot.start is not None:
            self._starts = spot
            self._dispatcher.fleet.begin(spot.start, spot.ends)
        if self.spot is not None and not self.spot.done():
            self.spot.set_result(spot)

    def fail(self, outcome: Outcome, reasons: list[str], error: Exception) -> None:
        """It can go nowhere."""
        self.note(outcome, reasons)
        if self.spot is not None and not self.spot.done():
            self.spot.set_exception(error)

    def use(self, node: str, row: WorkerRow) -> None:
        """It goes to this worker, which may be another one than was meant, and may load yet."""
        if self._starts is not None:  # whose memory the worker has from now on
            self._dispatcher.worker(node, row)
        self._end_start()
        if self._takes_slot and not self._has(node, row):
            self._let_go()
            self._serve(True)
            self._take(self._dispatcher.worker(node, row))

    def _has(self, node: str, row: WorkerRow) -> bool:
        """Whether it has a slot of the worker, as the fleet knows that: a hive that is connected
        anew tells of its workers as of new ones."""
        if self._worker is None or self._worker.row.id != row.id:
            return False
        known = self._dispatcher.fleet.worker(node, row.id)
        return known is None or known is self._worker

    def lost(self) -> None:
        """Its worker has gone: it goes to another one of the node."""
        self._is_accepted = False
        self._release()

    def refused(self) -> None:
        """Its worker had no slot after all."""
        worker = self._worker
        self._let_go()
        if worker is not None:
            self._dispatcher.refused(worker)

    def kept(self, worker: FleetWorker) -> None:
        """A worker that was to end for it is used after all."""
        self._let_go()
        self._dispatcher.refused(worker)

    def accepted(self) -> None:
        """It waits no longer."""
        if self._worker is not None:
            self._dispatcher.fleet.accepted(self._worker)
        self._is_accepted = True
        if not self._has_waited:
            self._has_waited = True
            self._dispatcher.decisions.waited(self.waited_s(_now()))
        self._leave()

    def is_no_question(self) -> None:
        """What it does now takes nothing from other keys, however long it lasts; what was reserved
        for it is kept."""
        self._serve(False)
        self._leave_accounts(0)

    def end(self, tokens: int) -> None:
        """Its task has ended, after so many tokens; 0 if it was never served."""
        self._leave()
        self._let_go()
        self._leave_accounts(tokens)

    def _leave_accounts(self, tokens: int) -> None:
        if self._is_counted:
            self._is_counted = False
            self._dispatcher.end(self.caller, tokens)

    def _take(self, worker: FleetWorker) -> None:
        self._worker = worker
        self._dispatcher.fleet.claim(worker, _now())

    def _leave(self) -> None:
        if self._ticket is not None:
            self._dispatcher.leave(self._ticket)
            self._ticket = self.place = None

    def _end_start(self) -> None:
        spot, self._starts = self._starts, None
        if spot is not None and spot.start is not None:
            self._dispatcher.fleet.finish(spot.start, spot.ends)

    def _let_go(self) -> None:
        self._serve(False)
        self._end_start()
        self._release()

    def _release(self) -> None:
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

    def __init__(
        self,
        fleet: Fleet,
        limit: int,
        operator_weight: float = 1.0,
        rules: Rules = Rules(),  # noqa: B008  it can't change
        replicate: Callable[[Replica], None] | None = None,
    ) -> None:
        """`replicate` starts a second worker for a line, and tells the fleet how that ended; by
        default none is started."""
        self.fleet = fleet
        self.queue = QueueLimit(limit)
        self._rules = rules
        self._start_replica = replicate
        self.decisions = DecisionLog()
        self._operator_weight = operator_weight
        self._callers: dict[str, Caller] = {}
        self._accounts = Accounts(self._weight)
        self._lines = Lines(self._accounts)
        self._turns: dict[int, Turn] = {}
        self._arrivals = count()
        self._held: dict[Want, tuple[int, Held]] = {}
        self._moved: set[Want] = set()
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._decided_at = 0.0
        fleet.on_change = self._wake

    @property
    def undecided_s(self) -> float:
        """For how many seconds nothing has been decided while tasks wait."""
        return _now() - self._decided_at if self._lines.waiting() else 0.0

    def enter(self, caller: Caller, tell: Callable[[Queued], None], task_id: str = "") -> Turn:
        """A task of this caller has come."""
        self._callers[caller.name] = caller
        self._accounts.enter(caller.name)
        return Turn(self, caller, next(self._arrivals), tell, task_id)

    def join(self, ticket: Ticket, turn: Turn) -> None:
        """A task waits for what its ticket says."""
        if not self._lines.waiting():
            self._decided_at = _now()
        self._turns[ticket.turn] = turn
        if turn.place is not None:
            self.queue.join(turn.caller.name)
        self._lines.join(ticket)
        self._move(ticket.want)

    def leave(self, ticket: Ticket) -> None:
        """It waits no longer."""
        turn = self._turns.pop(ticket.turn, None)
        if turn is not None:
            if turn.place is not None:
                self.queue.leave(turn.caller.name)
            self._lines.leave(ticket)
            if ticket.want not in self._lines.waiting():
                self._held.pop(ticket.want, None)
            self._move(ticket.want)

    def worker(self, node: str, row: WorkerRow) -> FleetWorker:
        """A worker of the fleet, which its hive perhaps has not told yet; or one that is only
        known to who asks, if it has ended, or its node has been forgotten."""
        if self.fleet.worker(node, row.id) is None and not self.fleet.has_ended(node, row.id):
            self.fleet.worker_told(node, row, _now())
        return self.fleet.worker(node, row.id) or FleetWorker(node, row)

    def waits(self) -> dict[Turn, list[str]]:
        """What the tasks that wait wait for; those of one line have the same list."""
        found: dict[Turn, list[str]] = {}
        for want, line in self._lines.waiting().items():
            _, outcome = self._held.get(want, (0, None))
            reasons = why_not(outcome)
            for mine in line.values():
                found.update(dict.fromkeys(map(self._turns.__getitem__, mine), reasons))
        return found

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
        """Decide now. A fault in it ends those who wait, who would wait for ever otherwise."""
        self._is_due = False
        try:
            self._decide_now()
            self._decided_at = _now()
        except Exception as error:
            _log.exception("no decision about the tasks that wait")
            for ticket in self._lines.tickets():
                self._turns[ticket.turn].fail("refused", ["a fault of the queen"], error)
                self.leave(ticket)
        finally:
            self._set_timer()

    def _decide_now(self) -> None:
        now, waiting = _now(), self._lines.waiting()
        lines = {want: line for want, line in waiting.items() if self._may_go_on(want, now)}
        decision = decide(self.fleet, lines, self._accounts, now, self._rules)
        before = {want: self._held.pop(want, None) for want in lines}
        for ticket, spot in decision.placed:
            self._lines.go(ticket)
            self._turns[ticket.turn].go(spot)
        for ticket, nowhere in decision.nowhere:
            error = NowhereError(nowhere.verdicts)
            self._turns[ticket.turn].fail("nowhere", why_not(nowhere), error)
            self.leave(ticket)
        if self._start_replica is not None:
            for replica in decision.replicas:
                self.fleet.begin(replica.start)
                self._start_replica(replica)
        for want, outcome in decision.held.items():
            self._held[want] = self.fleet.stamp(repository_of(want.model)), outcome
        # Where nothing but time has passed, nobody's place has changed.
        same = {want for want in lines if self._is_same(before[want], self._held.get(want))}
        for want in {*self._moved, *lines.keys() - same}:
            self._tell(want)
        self._moved.clear()

    def _may_go_on(self, want: Want, now: float) -> bool:
        if want not in self._held:
            return True
        stamp, outcome = self._held[want]
        if isinstance(outcome, Crowded) and outcome.keeps:
            return True
        if isinstance(outcome, Look) or (outcome.at is not None and now >= outcome.at):
            return True
        return stamp != self.fleet.stamp(repository_of(want.model))

    @staticmethod
    def _is_same(before: tuple[int, Held] | None, now: tuple[int, Held] | None) -> bool:
        if before is None or now is None:
            return False
        return before[0] == now[0] and type(before[1]) is type(now[1])

    def _tell(self, want: Want) -> None:
        """Tell everybody in a full line whose position has changed."""
        _, outcome = self._held.get(want, (None, None))
        order = list(self._lines.order(want))
        if isinstance(outcome, Full | Crowded):
            for ticket in order:
                self._hold(ticket, outcome)
        held = [self._turns[ticket.turn] for ticket in order if ticket.turn in self._turns]
        held = [turn for turn in held if turn.place is not None]
        for position, turn in enumerate(held, start=1):
            if turn.place is not None and turn.place.position != position:
                turn.place = Queued(position, len(held))
                turn.tell(turn.place)

    def _hold(self, ticket: Ticket, outcome: Full | Crowded) -> None:
        """Let a task wait, unless too many do."""
        turn = self._turns[ticket.turn]
        if turn.place is not None or not self._lines.waits(ticket):
            return
        caller = turn.caller
        error = self.queue.refusal(caller.name, caller.queue_limit, outcome.slots)
        if error is None:
            self.queue.join(caller.name)
            turn.place = _NO_PLACE
            turn.note("waits", why_not(outcome))
        else:
            reasons = [*why_not(outcome), f"{self.queue.waiting} of {self.queue.limit} wait"]
            turn.fail("refused", reasons, error)
            self.leave(ticket)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        times = [outcome.at for _, outcome in self._held.values() if outcome.at is not None]
        self._timer = None
        if self._lines.waiting():
            at = min([*times, _now() + _DECIDE_EVERY_S])
            self._timer = asyncio.get_running_loop().call_at(at, self._wake)


def _now() -> float:
    return asyncio.get_running_loop().time()
