"""What the workers of a node wrote last, kept by the queen for when no hive is left to tell it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict

from rbee.contract.errors import RbeeError
from rbee.contract.registry import LOCAL
from rbee.queen.nodes.hosts import Host
from rbee.queen.ssh.login import NoAnswerError
from rbee.runtime import log, paths
from rbee.runtime.concurrency import in_thread

_PROGRAM = "llm-worker-rbee"
_LINES = 20
# Whoever waits for an answer learns of its end no later than this because of it.
_WITHIN_S = 3.0
_KEPT = 256
_TAIL = f'tail -n {_LINES} "$HOME/.rbee/logs/{_PROGRAM}-$1.log"'
_log = logging.getLogger("queen-rbee")


class LastLines:
    """Of one node, by worker."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._kept: OrderedDict[str, list[str]] = OrderedDict()

    def of(self, worker_id: str) -> list[str]:
        """What was read; nothing if it could not be."""
        return self._kept.get(worker_id, [])

    async def read(self, worker_id: str) -> None:
        """Read them from the worker's log file, here or over SSH, without its hive. They also go
        into the queen's log."""
        if worker_id in self._kept:
            return
        lines: list[str] = []
        with contextlib.suppress(RbeeError, NoAnswerError, TimeoutError):
            async with asyncio.timeout(_WITHIN_S):
                lines = await self._read(worker_id)
        self._kept[worker_id] = lines
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        if lines:
            said = "the last lines of the worker %s on %s: %s"
            _log.warning(said, worker_id, self._host.node, "; ".join(lines))

    async def _read(self, worker_id: str) -> list[str]:
        if self._host.node == LOCAL:
            return await in_thread(log.tail, paths.log_file(_PROGRAM, worker_id), _LINES)
        if self._host.remote is None:
            return []
        found = await self._host.remote.run(_TAIL, worker_id, within_s=_WITHIN_S)
        return found.out.splitlines()
