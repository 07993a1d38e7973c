"""Which worker a person means by an id or the start of one."""

from __future__ import annotations

from collections.abc import Sequence

from rbee.contract.errors import InvalidRequest, NotFound
from rbee.contract.workers import NodeWorkerRow

_PREFIX = "worker-"
# Without the prefix, fewer characters are probably a typo.
_LEAST = 4
_LIST = "See which there are: rbee-keeper worker list"


def find_worker(rows: Sequence[NodeWorkerRow], name: str) -> NodeWorkerRow:
    """The worker with this id, else the only one whose id starts like this. The prefix `worker-`
    may be left out, if at least four characters of the rest are given.

    Raises INVALID_REQUEST, with status 404 if there is none.
    """
    for row in rows:
        if row.worker_id == name:
            return row
    found = [
        row
        for row in rows
        if row.worker_id.startswith(name) or row.worker_id.removeprefix(_PREFIX).startswith(name)
    ]
    if not found:
        message = f"There is no worker {name} on any node"
        raise NotFound.of("worker_id", "a worker that runs", message, name, hint=_LIST)
    if len(found) > 1 or (len(name) < _LEAST and not name.startswith(_PREFIX)):
        which = ", ".join(f"{row.worker_id} on {row.node}" for row in found)
        raise InvalidRequest.of(
            "worker_id",
            "the beginning of one worker's id",
            f"{name} may be any of {which}",
            name,
            hint="Give more of its id.",
        )
    return found[0]
