"""Which worker answered a session last: it has the beginning of the next prompt in its cache."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

# Some 300 bytes each.
_MOST = 10_000


class Place(msgspec.Struct, frozen=True):
    """A worker on a node."""

    node: str
    worker_id: str


class Session(msgspec.Struct):
    """What tasks with the same key share: `place` is where the last of them was answered."""

    place: Place | None = None


class Sessions:
    """The sessions that were used last, each known by who asked, for which model, and its key."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._sessions: OrderedDict[tuple[str, str, str], Session] = OrderedDict()

    def of(self, caller: str, model: str, key: str) -> Session:
        """The session, which begins now if nobody knows it."""
        name = caller, model, key
        session = self._sessions.setdefault(name, Session())
        self._sessions.move_to_end(name)
        if len(self._sessions) > self._most:
            self._sessions.popitem(last=False)
        return session
