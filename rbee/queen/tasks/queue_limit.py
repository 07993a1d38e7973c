"""How many tasks wait, in all and of each key, and whether another one may."""

from __future__ import annotations

from collections import Counter

from rbee.contract.errors import AllSlotsBusy, QueueFull, RbeeError


class QueueLimit:
    """At most `limit` tasks wait at the same time; of a key, no more than its own limit either."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting_of: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._waiting_of.total()

    def join(self, key: str) -> None:
        """One task more of this key waits."""
        self._waiting_of[key] += 1

    def leave(self, key: str) -> None:
        """One less."""
        self._waiting_of[key] -= 1

    def refusal(self, key: str, key_limit: int | None, slots: int) -> RbeeError | None:
        """Why another task of this key may not wait for one of these slots, which are all busy;
        None if it may."""
        busy = {"slots_total": slots, "slots_busy": slots}
        if not self.limit:
            return AllSlotsBusy(**busy, waiting=0)
        own = self._waiting_of[key]
        if key_limit is not None and own >= key_limit:
            return QueueFull(
                f"All slots are busy, and {own} requests of the key {key} are waiting, as many as "
                "it may have.",
                **busy,
                waiting=own,
                key=key,
                queue_limit=key_limit,
            )
        if self.waiting >= self.limit:
            return QueueFull(**busy, waiting=self.waiting)
        return None
