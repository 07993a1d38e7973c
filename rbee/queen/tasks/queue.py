"""Tasks that wait for a free slot of a worker, first come, first served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from rbee.contract.errors import QueueFull
from rbee.contract.events import Queued

_LOOK_AGAIN_S = 0.25


class Ticket:
    """A place in a line. It is given up when the task gets a slot, or when `Queue.join` is left."""

    def __init__(self, line: list[Ticket]) -> None:
        self._line = line
        self.moved = asyncio.Event()

    def leave(self) -> None:
        """Step out of the line; a second time does nothing."""
        if self in self._line:
            self._line.remove(self)
            for other in self._line:
                other.moved.set()

    def rejoin(self) -> None:
        """Step back in, at the end, if it has been left."""
        if self not in self._line:
            self._line.append(self)

    @property
    def place(self) -> Queued:
        return Queued(self._line.index(self) + 1, len(self._line))

    async def turns(self) -> AsyncIterator[Queued]:
        """The place, now and after each move. The first in line gets its turn again every 250 ms,
        because a request from elsewhere may have freed a slot."""
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
    """All lines, one for each full worker. At most `limit` tasks wait in all; with 0, none may."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lines: dict[str, list[Ticket]] = {}

    @property
    def waiting(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def has_line(self, worker_id: str) -> bool:
        """Whether tasks wait for this worker. A new one must not overtake them."""
        return bool(self._lines.get(worker_id))

    @contextmanager
    def join(self, worker_id: str, slots: int) -> Iterator[Ticket]:
        """A place at the end of a worker's line, until the block is left. All of the worker's
        `slots` are busy. Raises QUEUE_FULL."""
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
