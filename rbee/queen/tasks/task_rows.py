"""The tasks as a person sees them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rbee.contract.queue import TaskRow
from rbee.queen.tasks.dispatcher import Turn
from rbee.queen.tasks.task import Task

_ORDER = ("running", "starting", "waiting")


def task_rows(tasks: Iterable[tuple[Task, Turn]]) -> list[TaskRow]:
    """Those that run, those that start, then those that wait, the next one first."""
    return sorted((_row(task, turn) for task, turn in tasks), key=_place)


def _place(row: TaskRow) -> tuple[int, float, float]:
    return _ORDER.index(row.state), row.position or math.inf, row.since_unix


def _row(task: Task, turn: Turn) -> TaskRow:
    state = turn.state
    waits = state == "waiting"
    place = turn.place if waits else None
    spot = None if waits else turn.went
    return TaskRow(
        request_id=task.id,
        state=state,
        key=task.caller.name,
        model=str(task.model),
        node=spot.node if spot else task.request.node,
        worker_id=turn.worker.row.id if turn.worker else None,
        position=place.position if place and place.position else None,
        since_unix=task.created_unix,
        waited_s=round(turn.waited_s, 3),
        reasons=turn.reasons(),
    )
