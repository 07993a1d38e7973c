"""What the programs of this node log: of the hive itself and of its workers, as one stream."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncIterator, Iterable
from operator import itemgetter

from rbee.contract.logs import LogLine
from rbee.hive.logs.log_tail import Tail, Timed
from rbee.hive.logs.recent_log import OwnLines
from rbee.hive.workers import worker_logs as logs
from rbee.runtime import paths

HIVE = "rbee-hive"
_LOOK_AGAIN_S = 0.2


async def read(own: OwnLines | None, lines: int, follow: bool) -> AsyncIterator[LogLine | None]:
    """The last `lines` lines, then, with `follow`, each that is written. `own` are the hive's where
    it has no log file. A reader that is slow holds it up: files wait."""
    reader = _Reader(own)
    try:
        for line in await asyncio.to_thread(reader.last, lines):
            yield line
        yield None
        while follow:
            found = await asyncio.to_thread(reader.more)
            for line in found:
                yield line
            if not found:
                await asyncio.sleep(_LOOK_AGAIN_S)
    finally:
        reader.close()


class _Reader:
    """Blocks. One for each who reads."""

    def __init__(self, own: OwnLines | None) -> None:
        self._own = own
        self._had = 0
        self._tails: dict[str, Tail] = {}

    def last(self, count: int) -> list[LogLine]:
        """The last lines of all sources, by their times."""
        self._find()
        kept: deque[tuple[float, LogLine]] = deque(maxlen=count)
        parts = [(source, tail.last(count)) for source, tail in self._tails.items()]
        for source, lines in [*parts, (HIVE, self._new_own())]:
            past = _named(source, lines, past=True)
            kept = deque(_merged([kept, past]), maxlen=count)
        return [line for _, line in kept]

    def more(self) -> list[LogLine]:
        """What has come since."""
        self._find()
        parts = [_named(source, tail.more()) for source, tail in self._tails.items()]
        for source in [source for source, tail in self._tails.items() if tail.gone]:
            self._tails.pop(source).close()
        parts.append(_named(HIVE, self._new_own()))
        return [line for _, line in _merged(parts)]

    def close(self) -> None:
        for tail in self._tails.values():
            tail.close()

    def _find(self) -> None:
        """Workers come, each with a file."""
        found = logs.files_of_workers()
        if self._own is None:
            found[HIVE] = paths.log_file(HIVE)
        for source, path in found.items():
            if source not in self._tails:
                self._tails[source] = Tail(path)

    def _new_own(self) -> list[Timed]:
        if self._own is None:
            return []
        before = self._had
        self._had, lines = self._own.since(before)
        lost = self._had - before - len(lines)
        if before and lost:
            told = f"({lost} lines that came faster than they were read are not kept)"
            lines.insert(0, (lines[0][0], told))
        return lines


def _named(source: str, lines: Iterable[Timed], past: bool = False) -> list[tuple[float, LogLine]]:
    return [(at, LogLine(source, line, at=at, past=past)) for at, line in lines]


def _merged(
    parts: Iterable[Iterable[tuple[float, LogLine]]],
) -> Iterable[tuple[float, LogLine]]:
    return heapq.merge(*parts, key=itemgetter(0))
