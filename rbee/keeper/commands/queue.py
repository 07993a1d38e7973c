"""`rbee-keeper queue list|cancel|why`: the tasks that wait and run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from rbee.contract import endpoints as ep
from rbee.contract.errors import NotFound
from rbee.contract.queue import Decision, TaskRow
from rbee.keeper.commands.runner import queen_command
from rbee.keeper.session.queen import Queen
from rbee.runtime.listings import table
from rbee.runtime.screen import Screen

R = TypeVar("R", TaskRow, Decision)

_HEADS = ("ID", "KEY", "MODEL", "NODE", "STATE", "POSITION", "WAITED", "WHY")
_WHY_HEADS = ("ID", "TIME", "OUTCOME", "NODE", "WORKER", "WHY")
_NONE = "-"


@queen_command
async def show_list(queen: Queen, screen: Screen, everything: bool) -> None:
    """List the tasks that wait; with `everything`, those that run too."""
    rows = [
        row
        for row in (await queen.client.call(ep.QUEEN_QUEUE)).tasks
        if everything or row.state != "running"
    ]
    screen.listing(rows, table(_HEADS, [_cells(row) for row in rows]) if rows else "")
    if not rows:
        hint = "" if everything else " To see those that run: rbee-keeper queue list --all"
        screen.note(f"No task {'runs or waits' if everything else 'waits'}.{hint}")


@queen_command
async def cancel(queen: Queen, screen: Screen, task: str | None, key: str | None) -> None:
    """Cancel one task, or all of a key, or all."""
    rows = (await queen.client.call(ep.QUEEN_QUEUE)).tasks
    if task is not None:
        rows = _of_one(rows, task, "a task that waits or runs", "rbee-keeper queue list --all")
    elif key is not None:
        rows = [row for row in rows if row.key == key]
    for row in reversed(rows):  # so that none takes the place of one that is canceled before it
        await queen.client.call(ep.QUEEN_CANCEL, request_id=row.request_id)
    lines = [f"{row.request_id} is canceled: {row.model}, key {row.key}" for row in rows]
    screen.listing(rows, "\n".join(lines))
    if not rows:
        screen.note(f"No task {'' if key is None else f'of {key} '}waits or runs.")


@queen_command
async def why(queen: Queen, screen: Screen, task: str) -> None:
    """Show what was decided about one task."""
    found = (await queen.client.call(ep.QUEEN_DECISIONS)).decisions
    rows = _of_one(found, task, "a task with a remembered decision", "rbee-keeper queue list --all")
    screen.listing(rows, table(_WHY_HEADS, [_decision_cells(row) for row in rows]))


def _of_one(rows: Sequence[R], name: str, wanted: str, listing: str) -> list[R]:
    """The rows of the only task whose id begins so. Raises NOT_FOUND."""
    found = [row for row in rows if row.request_id.startswith(name)] if name else []
    ids = {row.request_id for row in found}
    if len(ids) != 1:
        said = f"{name} is the beginning of {len(ids)} ids." if ids else f"There is no task {name}."
        error = {"field": "ID", "constraint": wanted, "message": said, "value": name}
        raise NotFound(said, errors=[error], hint=f"See their ids: {listing}")
    return found


def _cells(row: TaskRow) -> tuple[str, ...]:
    """A worker is named where its node is."""
    where = row.node or _NONE
    return (
        row.request_id,
        row.key,
        row.model,
        f"{where} {row.worker_id}" if row.worker_id else where,
        row.state,
        _NONE if row.position is None else str(row.position),
        f"{row.waited_s:.0f} s",
        ", ".join(row.reasons) or _NONE,
    )


def _decision_cells(row: Decision) -> tuple[str, ...]:
    """The time is local."""
    return (
        row.request_id,
        f"{datetime.fromtimestamp(row.at_unix):%H:%M:%S}",
        row.outcome,
        row.node or _NONE,
        row.worker_id or _NONE,
        ", ".join(row.reasons) or _NONE,
    )
