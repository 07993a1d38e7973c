"""The last decisions of the dispatcher, and how many there were of each kind."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import get_args

from rbee.contract.queue import Decision, Outcome
from rbee.queen.tasks.decide import Crowded, Full, Held, Look, Nowhere, Spot
from rbee.runtime.gauges import Gauge, Histogram

_KEPT = 200
_SECONDS = (0.1, 1, 5, 15, 60, 300)


class DecisionLog:
    """`clock` tells the seconds since the epoch."""

    def __init__(self, kept: int = _KEPT, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._last: deque[Decision] = deque(maxlen=kept)
        self._counts: Counter[Outcome] = Counter()
        self._waits = [0] * (len(_SECONDS) + 1)
        self._waited_s = 0.0

    @property
    def last(self) -> list[Decision]:
        """The oldest first."""
        return list(self._last)

    def add(
        self, request_id: str, key: str, model: str, outcome: Outcome, found: Spot | list[str]
    ) -> None:
        """Note what was decided about a task: where it goes, or the reasons why it does not."""
        spot, reasons = (found, found.reasons) if isinstance(found, Spot) else (None, found)
        worker = spot.worker if spot else None
        self._counts[outcome] += 1
        self._last.append(
            Decision(
                at_unix=self._clock(),
                request_id=request_id,
                key=key,
                model=model,
                outcome=outcome,
                node=spot.node if spot else None,
                worker_id=worker.row.id if worker else None,
                reasons=reasons,
            )
        )

    def waited(self, seconds: float) -> None:
        """A task has been accepted, which had waited so long until it was placed."""
        self._waited_s += seconds
        at = next((n for n, most in enumerate(_SECONDS) if seconds <= most), len(_SECONDS))
        self._waits[at] += 1

    def gauges(self) -> Iterator[Gauge | Histogram]:
        """The figures of /metrics."""
        for outcome in get_args(Outcome):
            about = "Decisions on tasks."
            count = self._counts[outcome]
            yield Gauge("rbee_decisions", about, count, {"outcome": outcome}, "counter")
        waits = dict(zip((*_SECONDS, float("inf")), self._waits, strict=True))
        about = "Seconds from a task's arrival until it was placed, of those that were accepted."
        yield Histogram("rbee_queue_seconds", about, waits, self._waited_s)


def why_not(outcome: Held | Nowhere | None) -> list[str]:
    """Why a task is not placed, for a person; None if nothing has been decided yet."""
    if isinstance(outcome, Full):
        slots = outcome.slots
        return ["the only slot is busy" if slots == 1 else f"all {slots} slots are busy"]
    if isinstance(outcome, Crowded):
        return ["workers of other models have the memory"]
    if isinstance(outcome, Look):
        return ["a node has not told its facts yet"]
    if isinstance(outcome, Nowhere):
        return [f"{each.node} can't: {', '.join(each.reasons)}" for each in outcome.verdicts]
    return ["it is looked where it can go"]
