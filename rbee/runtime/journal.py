"""A broadcast whose events are numbered, so that a reader notices what it missed, and gets it."""

from __future__ import annotations

import contextlib
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from itertools import islice

from rbee.contract.errors import StreamTruncated
from rbee.contract.events import NAMES, Event, Resumed, Snapshot
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.sse import LastEvent, Numbered, Raw

_KEPT = 1024
_FIRST = (NAMES[Snapshot], NAMES[Resumed])


class Journal(Broadcast[Event]):
    """Numbers what is sent, and keeps the last `kept` events. An id is the epoch, which no other
    journal has, and the number: `5f3a90c1-17`."""

    def __init__(self, kept: int = _KEPT) -> None:
        super().__init__()
        self._epoch = secrets.token_hex(4)
        self._number = 0
        self._kept: deque[Numbered] = deque(maxlen=kept)
        self._numbered: Broadcast[Numbered] = Broadcast()

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return super().is_heard or self._numbered.is_heard

    def send(self, event: Event) -> None:
        """Number `event`, keep it, and hand it to every listener; never waits."""
        self._number += 1
        numbered = Numbered(self._id(self._number), event)
        self._kept.append(numbered)
        super().send(event)
        self._numbered.send(numbered)

    def close(self) -> None:
        """End every listener's stream."""
        super().close()
        self._numbered.close()

    async def follow(self, last_id: str, snapshot: Callable[[], Event]) -> AsyncIterator[Numbered]:
        """`resumed`, and what was sent since the event `last_id`, if that is still kept; otherwise
        a `snapshot` of the present. Then everything that is sent."""
        with self._numbered.listen() as coming:
            missed = self._since(last_id)
            if missed is None:
                yield Numbered(self._id(self._number), snapshot())
            else:
                yield Numbered(last_id, Resumed(len(missed)))
                for numbered in missed:
                    yield numbered
            async for numbered in coming:
                yield numbered

    def _id(self, number: int) -> str:
        return f"{self._epoch}-{number}"

    def _since(self, last_id: str) -> list[Numbered] | None:
        """What came after that event; None if it is of another epoch, or too long ago."""
        with contextlib.suppress(ValueError):
            epoch, number = _parts(last_id)
            missed = self._number - number
            if epoch == self._epoch and 0 <= missed <= len(self._kept):
                return list(islice(self._kept, len(self._kept) - missed, None))
        return None


class Position(LastEvent):
    """Where a reader of a journal is. It forgets it where an event is missing, so that the next
    stream begins with a snapshot."""

    def move(self, raw: Raw) -> None:
        """Another event has come. Raises STREAM_TRUNCATED if it is not the next one."""
        if raw.event not in _FIRST and raw.id != _following(self.id):
            missing, self.id = self.id, ""
            said = f"The event {raw.id or 'without an id'} came after {missing or 'none'}."
            raise StreamTruncated(said, tokens=0)
        super().move(raw)


def _following(event_id: str) -> str | None:
    """The id of the next event; None if this is not an id of a journal."""
    try:
        epoch, number = _parts(event_id)
    except ValueError:
        return None
    return f"{epoch}-{number + 1}"


def _parts(event_id: str) -> tuple[str, int]:
    epoch, _, number = event_id.partition("-")
    if not (number.isascii() and number.isdecimal() and len(number) < 20):
        raise ValueError(f"{event_id!r} is not the id of an event")
    return epoch, int(number)
