"""How long an ephemeral queen stays: as long as anyone holds it.

The command that started it holds it by the lifeline, others by an open `/v2/hold`. A command that
ends in order releases its hold first and learns whether the queen stays, so that the last one can
wait for the queen's end.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

from rbee.contract.daemons import OWNER, Hold, Lifetime, Released
from rbee.contract.errors import ShuttingDown
from rbee.contract.events import Event
from rbee.runtime.lifecycle import Lifecycle


class Holds:
    """All holds on this queen. A queen without a lifeline is persistent from the start."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._life = lifecycle
        self._held: set[str] = set()
        self._owned = lifecycle.hello is not None
        self._persistent = lifecycle.hello is None
        lifecycle.on_owner_lost = lambda: self._lost(OWNER)
        lifecycle.is_held = lambda: self._persistent or bool(self._held)

    @property
    def lifetime(self) -> Lifetime:
        return "persistent" if self._persistent else "ephemeral"

    def keep(self) -> None:
        """Stay until told to stop, even if nobody holds the queen."""
        self._persistent = True

    def release(self, hold_id: str) -> Released:
        """Release a hold in order. With the last one, the queen begins its orderly end."""
        self._drop(hold_id)
        if not self._stays():
            self._life.shut_down()
        return Released(stays=self._stays())

    async def hold(self) -> AsyncIterator[Event | None]:
        """A hold for as long as its stream is read. Raises SHUTTING_DOWN once the end has begun."""
        if self._life.ending.is_set():
            raise ShuttingDown("The queen is shutting down.")
        hold_id = secrets.token_hex(8)
        self._held.add(hold_id)
        try:
            yield Hold(hold_id)
            await self._life.over.wait()
        finally:
            if hold_id in self._held:
                self._lost(hold_id)

    def _lost(self, hold_id: str) -> None:
        """A holder vanished. If it was the last, nobody waits for an orderly end."""
        self._drop(hold_id)
        if not self._stays():
            self._life.cut_short()

    def _drop(self, hold_id: str) -> None:
        if hold_id == OWNER:
            self._owned = False
        self._held.discard(hold_id)

    def _stays(self) -> bool:
        return self._owned or self._life.is_held()
