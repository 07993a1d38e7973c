"""`rbee-keeper worker start|stop|list|health`: workers without a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from rbee.contract import endpoints as ep
from rbee.contract.errors import InvalidRequest, NotFound, RbeeError, StreamTruncated
from rbee.contract.registry import LOCAL
from rbee.contract.workers import (
    NodeStandbyRow,
    NodeWorkerRow,
    StartWorker,
    WorkerCheck,
    WorkerName,
)
from rbee.keeper.commands.runner import queen_command, queen_request
from rbee.keeper.session.queen import Queen
from rbee.keeper.session.session import call_for, events_of
from rbee.runtime import safe_text
from rbee.runtime import settings as configuration
from rbee.runtime.listings import table
from rbee.runtime.screen import Screen

R = TypeVar("R")

_LIST_HEADS = ("WORKER", "NODE", "MODEL", "STATE", "BACKEND", "SLOTS FREE")
_HEALTH_HEADS = ("WORKER", "NODE", "MODEL", "STATE", "HEALTH", "MEMORY", "LAST ANSWER")
_UNKNOWN = "-"
_UNHEALTHY = 1
_LONGEST_ID = 64
# The constraint that a worker which does not exist breaks.
_RUNS = "a worker that runs"
_MB = 1_000_000


@queen_request(StartWorker, needs_hive=lambda request: request.node in (None, LOCAL))
async def start(queen: Queen, screen: Screen, request: StartWorker) -> None:
    """Start a worker and wait until it has loaded its model. From then on the queen is kept."""
    ready: NodeWorkerRow | None = None
    async for event in events_of(queen, screen, ep.QUEEN_WORKER_START, request):
        if isinstance(event, NodeWorkerRow):
            ready = event
    screen.close()
    if ready is None:
        raise StreamTruncated("The start ended without a worker that is ready.", tokens=0)
    await queen.client.call(ep.QUEEN_KEEP)
    device = f"{ready.backend}:{ready.device}"
    screen.result(f"{ready.worker_id} runs on {ready.node}: {ready.model_ref}, {device}")


@queen_request(WorkerName)
async def stop(queen: Queen, screen: Screen, request: WorkerName) -> None:
    """End a worker in order, and wait until it is gone."""
    try:
        done = await queen.client.call(ep.QUEEN_WORKER_SHUTDOWN, request)
    except InvalidRequest as error:
        [wrong] = error.details["errors"]
        if wrong["constraint"] != _RUNS:
            raise
        # The field's name is that of the API: a person typed --id.
        raise NotFound(f"{wrong['message']}.", **error.details) from None
    screen.answer(done, done.message)


@queen_command
async def stop_model(queen: Queen, screen: Screen, model: str) -> None:
    """End every worker that holds the model, by its alias, repository or reference, or the one with
    this id."""
    aliases = configuration.load().models.aliases
    rows = (await call_for(queen, ep.QUEEN_WORKERS, None)).workers
    ids = [row.worker_id for row in rows if holds(row.model_ref, model, aliases)]
    done = []
    for worker_id in ids or [model[:_LONGEST_ID]]:
        asked = WorkerName(worker_id)
        try:
            done.append(await queen.client.call(ep.QUEEN_WORKER_SHUTDOWN, asked))
        except InvalidRequest as error:
            [wrong] = error.details["errors"]
            if wrong["constraint"] != _RUNS:
                raise
            if ids:  # it has just ended by itself
                continue
            raise _not_in_memory(model) from None
    screen.listing(done, "\n".join(safe_text.line(each.message) for each in done))


def _not_in_memory(model: str) -> NotFound:
    said = f"Nothing to stop: no worker holds {model[:_LONGEST_ID]!r}."
    error = {"field": "MODEL", "constraint": "a model in memory", "message": said, "value": model}
    return NotFound(said, errors=[error], hint="See what is in memory: rbee-keeper ps")


def holds(loaded: str, model: str, aliases: Mapping[str, str]) -> bool:
    """Whether the model that is loaded is the one that a person means: by its alias, its whole
    reference, or without the file or the quantization that was chosen."""
    # Late: a listing does not need them.
    from rbee.contract.model_ref import parse
    from rbee.contract.quantization import canonical, of_file

    try:
        meant = parse(model, aliases)
        there = parse(loaded)
    except RbeeError:
        return loaded == model
    if meant.scheme != there.scheme or meant.repository != there.repository:
        return False
    if meant.revision is not None and meant.revision != there.revision:
        return False
    if meant.file is not None:
        return meant.file == there.file
    if meant.quantization is None:
        return True
    chosen = of_file(there.file) if there.file else there.quantization
    return chosen is not None and canonical(chosen) == canonical(meant.quantization)


@queen_command
async def show_list(queen: Queen, screen: Screen, node: str | None, everything: bool) -> None:
    """List the workers of all nodes, or of one; with `everything`, the standby ones too."""
    rows: list[NodeWorkerRow | NodeStandbyRow] = []
    rows += (await call_for(queen, ep.QUEEN_WORKERS, node)).workers
    if everything:
        rows += (await call_for(queen, ep.QUEEN_STANDBY, node)).standby
    _show(screen, rows, _LIST_HEADS, _list_cells, node)


@queen_command
async def health(queen: Queen, screen: Screen, node: str | None) -> int:
    """Ask every worker how it is; 1 unless all of them are healthy."""
    checks = (await call_for(queen, ep.QUEEN_WORKER_HEALTH, node)).workers
    _show(screen, checks, _HEALTH_HEADS, _health_cells, node)
    return 0 if all(check.status == "healthy" for check in checks) else _UNHEALTHY


def _show(
    screen: Screen,
    found: Sequence[R],
    heads: Sequence[str],
    cells: Callable[[R], Sequence[str]],
    node: str | None,
) -> None:
    screen.listing(found, table(heads, [cells(row) for row in found]) if found else "")
    if not found:
        where, flag = ("", "") if node is None else (f" on {node}", f" --node {node}")
        start = f"rbee-keeper worker start{flag} MODEL"
        screen.note(f"No worker runs{where}. Start one: {start}")


def _list_cells(row: NodeWorkerRow | NodeStandbyRow) -> tuple[str, ...]:
    if isinstance(row, NodeStandbyRow):
        state = f"{row.state}, {row.memory_bytes / _MB:.0f} MB"
        return f"pid {row.pid}", row.node, _UNKNOWN, state, _UNKNOWN, _UNKNOWN
    return (
        row.worker_id,
        row.node,
        row.model_ref,
        row.state,
        f"{row.backend}:{row.device}",
        f"{row.slots_available} of {row.slots_total}",
    )


def _health_cells(check: WorkerCheck) -> tuple[str, ...]:
    """The hive's own last answer is in local time."""
    memory, seen = check.memory_bytes, check.last_health
    return (
        check.worker_id,
        check.node,
        check.model_ref,
        check.state,
        check.status,
        _UNKNOWN if memory is None else f"{memory / _MB:.0f} MB",
        _UNKNOWN if seen is None else f"{datetime.fromtimestamp(seen):%H:%M:%S}",
    )
