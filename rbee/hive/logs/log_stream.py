"""The logs of this node's programs, of the hive itself and of its workers, as one stream."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable
from operator import itemgetter

from rbee.contract.logs import LogLine
from rbee.hive.logs.log_tail import LogTail, TimedLine
from rbee.hive.workers.worker_logs import files_of_workers
from rbee.runtime import paths
from rbee.runtime.concurrency import in_thread

HIVE = "rbee-hive"
_LOOK_AGAIN_S = 0.2
_KEPT = 4096
_LONGEST_LINE = 8192


class RecentLog(logging.Handler):
    """The last 4096 lines that this program has logged, as they are written to standard error: a
    hive that an operator started has no log file that it could read."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[TimedLine] = deque(maxlen=_KEPT)
        self._count = 0

    def install(self) -> None:
        """Start recording."""
        root = logging.getLogger()
        if root.handlers:
            self.setFormatter(root.handlers[0].formatter)
        root.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            at = max(record.created, self._lines[-1][0] if self._lines else 0.0)
            self._lines.append((at, line[:_LONGEST_LINE]))
            self._count += 1

    def since(self, count: int) -> tuple[int, list[TimedLine]]:
        """The number of lines so far, and those that came after the first `count`, as far as they
        are kept."""
        self.acquire()
        try:
            new = self._count - count
            return self._count, list(self._lines)[-new:] if new > 0 else []
        finally:
            self.release()


async def read(recent: RecentLog | None, lines: int, follow: bool) -> AsyncIterator[LogLine | None]:
    """The last `lines` lines, then, with `follow`, each new one. `recent` has the hive's own lines
    if it has no log file. A slow reader only delays itself: the files wait."""
    sources = _Sources(recent)
    try:
        for line in await in_thread(sources.last, lines):
            yield line
        yield None
        while follow:
            found = await in_thread(sources.more)
            for line in found:
                yield line
            if not found:
                await asyncio.sleep(_LOOK_AGAIN_S)
    finally:
        sources.close()


class _Sources:
    """All logs of the node, for one reader. Every call blocks."""

    def __init__(self, recent: RecentLog | None) -> None:
        self._recent = recent
        self._seen = 0
        self._tails: dict[str, LogTail] = {}

    def last(self, count: int) -> list[LogLine]:
        """The last lines of all sources, in the order of their times."""
        self._find_files()
        kept: deque[tuple[float, LogLine]] = deque(maxlen=count)
        parts = [(source, tail.last(count)) for source, tail in self._tails.items()]
        for source, lines in [*parts, (HIVE, self._new_recent())]:
            past = _named(source, lines, past=True)
            kept = deque(_merged([kept, past]), maxlen=count)
        return [line for _, line in kept]

    def more(self) -> list[LogLine]:
        """The lines that have come since."""
        self._find_files()
        parts = [_named(source, tail.more()) for source, tail in self._tails.items()]
        for source in [source for source, tail in self._tails.items() if tail.gone]:
            self._tails.pop(source).close()
        parts.append(_named(HIVE, self._new_recent()))
        return [line for _, line in _merged(parts)]

    def close(self) -> None:
        for tail in self._tails.values():
            tail.close()

    def _find_files(self) -> None:
        """Open the log of every worker that has come since."""
        found = files_of_workers()
        if self._recent is None:
            found[HIVE] = paths.log_file(HIVE)
        for source, path in found.items():
            if source not in self._tails:
                self._tails[source] = LogTail(path)

    def _new_recent(self) -> list[TimedLine]:
        if self._recent is None:
            return []
        before = self._seen
        self._seen, lines = self._recent.since(before)
        lost = self._seen - before - len(lines)
        if before and lost:
            note = f"({lost} lines were dropped because they came faster than they were read)"
            lines.insert(0, (lines[0][0], note))
        return lines


def _named(
    source: str, lines: Iterable[TimedLine], past: bool = False
) -> list[tuple[float, LogLine]]:
    return [(at, LogLine(source, line, at=at, past=past)) for at, line in lines]


def _merged(
    parts: Iterable[Iterable[tuple[float, LogLine]]],
) -> Iterable[tuple[float, LogLine]]:
    return heapq.merge(*parts, key=itemgetter(0))
