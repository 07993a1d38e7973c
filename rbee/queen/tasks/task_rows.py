"""The tasks as a person sees them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping

from rbee.contract.queue import TaskRow
from rbee.queen.tasks.decisions import why_not
from rbee.queen.tasks.dispatcher import Turn
from rbee.queen.tasks.task import Task

# Before and behind those that have a position.
_PLACE = {"running": -2, "starting": -1, "waiting": math.inf}
_UNDECIDED = why_not(None)


def task_rows(tasks: Iterable[tuple[Task, Turn]], waits: Mapping[Turn, list[str]]) -> list[TaskRow]:
    """Those that run, those that start, then those that wait, the next one first. `tasks` are in
    the order in which they came; `waits` says what they wait for."""
    now = asyncio.get_running_loop().time()
    return sorted((_row(task, turn, waits, now) for task, turn in tasks), key=_place)


def _place(row: TaskRow) -> float:
    return row.position or _PLACE[row.state]


def _row(task: Task, turn: Turn, waits: Mapping[Turn, list[str]], now: float) -> TaskRow:
    state, worker = turn.state, turn.worker
    spot, place = (None, turn.place) if state == "waiting" else (turn.went, None)
    return TaskRow(
        request_id=task.id,
        state=state,
        key=task.caller.name,
        model=task.model_name,
        node=spot.node if spot else task.request.node,
        worker_id=worker.row.id if worker else None,
        position=(place.position or None) if place else None,
        since_unix=task.created_unix,
        waited_s=round(turn.waited_s(now), 3),
        reasons=spot.reasons if spot else waits.get(turn, _UNDECIDED),
    )
