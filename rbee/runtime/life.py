"""A daemon's course: running, draining, over. One object, asked by every part of the program."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Literal

from rbee.contract.daemons import Hello
from rbee.contract.errors import RbeeError


class Life:
    """Whether this daemon still runs, and how it ends. Lives on the event loop's thread.

    `draining` is set once the end has begun: no new work. `cut` is set where there is no grace:
    running streams end now (`ending` is the same for threads). `over` is set when everything below
    has ended: open streams close. `url` is how others reach it, `own_url` where it listens.
    """

    def __init__(self, program: str, hello: Hello | None, key: str | None) -> None:
        self.program = program
        self.hello = hello
        self.key = key
        self.url = ""
        self.own_url = ""
        self.host = ""
        self.ending = threading.Event()
        self.draining = asyncio.Event()
        self.cut = asyncio.Event()
        self.over = asyncio.Event()
        self.failure: RbeeError | None = None
        # A program that something else than its owner may hold replaces these two.
        self.on_owner_lost: Callable[[], None] = self.cut_short
        self.is_held: Callable[[], bool] = lambda: False

    @property
    def state(self) -> Literal["running", "draining"]:
        return "draining" if self.draining.is_set() else "running"

    def stop(self) -> None:
        """Begin an orderly end; asked for a second time, cut it short."""
        if self.draining.is_set():
            self.cut.set()
        self.shut_down()

    def shut_down(self) -> None:
        """Begin an orderly end; asking again changes nothing."""
        self.draining.set()

    def cut_short(self) -> None:
        """End without grace: the owner is gone."""
        self.ending.set()
        self.shut_down()
        self.cut.set()

    def fail(self, error: RbeeError) -> None:
        """End because of `error`; the exit code tells."""
        self.failure = self.failure or error
        self.shut_down()

    async def grace(self, seconds: float) -> None:
        """Wait for `seconds`, or until the end is cut short."""
        try:
            await asyncio.wait_for(self.cut.wait(), seconds)
        except TimeoutError:
            return
