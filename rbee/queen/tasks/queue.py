"""Requests that wait for a free slot: first come, first served, by worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from rbee.contract.errors import QueueFull
from rbee.contract.events import Queued

_LOOK_AGAIN_S = 0.25


class Ticket:
    """A place in the line; it is left once a slot was got, or with the block of `Queue.join`."""

    def __init__(self, line: list[Ticket]) -> None:
        self._line = line
        self.moved = asyncio.Event()

    def leave(self) -> None:
        """Step out of the line; leaving twice is leaving."""
        if self in self._line:
            self._line.remove(self)
            for other in self._line:
                other.moved.set()

    @property
    def place(self) -> Queued:
        return Queued(self._line.index(self) + 1, len(self._line))

    async def turns(self) -> AsyncIterator[Queued]:
        """The place at once and after each move; the first in line comes again every 250 ms, since
        a slot may be freed by somebody else's request."""
        while True:
            place = self.place
            yield place
            patience = _LOOK_AGAIN_S if place.position == 1 else None
            try:
                await asyncio.wait_for(self.moved.wait(), patience)
            except TimeoutError:
                continue
            self.moved.clear()


class Queue:
    """`limit` is how many may wait in all; 0 means that nobody waits here."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lines: dict[str, list[Ticket]] = {}

    @property
    def waiting(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def has_line(self, worker_id: str) -> bool:
        """Whether anybody waits for this worker: then nobody may pass."""
        return bool(self._lines.get(worker_id))

    @contextmanager
    def join(self, worker_id: str, slots: int) -> Iterator[Ticket]:
        """A place at the end of the line of a worker, all of whose `slots` are busy, until the
        block is left. Raises QUEUE_FULL."""
        if self.waiting >= self.limit:
            raise QueueFull(slots_total=slots, slots_busy=slots, waiting=self.waiting)
        line = self._lines.setdefault(worker_id, [])
        ticket = Ticket(line)
        line.append(ticket)
        try:
            yield ticket
        finally:
            ticket.leave()
            if not line and self._lines.get(worker_id) is line:
                del self._lines[worker_id]
