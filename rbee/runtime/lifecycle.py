"""The lifecycle of a daemon: running, draining, over. One object, shared by the whole program."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Literal

from rbee.contract.daemons import Hello
from rbee.contract.errors import RbeeError
from rbee.runtime.keyring import Keyring, OneKey


class Lifecycle:
    """Whether this daemon still runs, and how it ends. Belongs to the event loop's thread.

    `draining` is set once shutdown has begun: no new work. `cut` is set if there is no grace:
    running streams end now (`ending` is the same for threads). `over` is set once all children
    have ended: open streams close. `url` is its address for others, `own_url` where it listens.
    It answers to these `names`, besides IP addresses, and to web pages of these `origins`;
    `reached_at` are addresses of proxies and routers that pass connections on to it. Its `key` is
    the operator's; `keys` are all that open it, None if it is open to everybody.
    """

    def __init__(
        self, program: str, hello: Hello | None, key: str | None, known_key: str | None = None
    ) -> None:
        """A daemon that is open to everybody may still have a `known_key`, to prove itself."""
        self.program = program
        self.hello = hello
        self.key = key
        self.keys: Keyring | None = None if key is None else OneKey(key)
        self._known: Keyring | None = None if known_key is None else OneKey(known_key)
        self.url = ""
        self.own_url = ""
        self.host = ""
        self.names: frozenset[str] = frozenset()
        self.reached_at: frozenset[str] = frozenset()
        self.origins: frozenset[str] = frozenset()
        self.ending = threading.Event()
        self.draining = asyncio.Event()
        self.cut = asyncio.Event()
        self.over = asyncio.Event()
        self.failure: RbeeError | None = None
        # A program that others than its owner may hold replaces these two.
        self.on_owner_lost: Callable[[], None] = self.cut_short
        self.is_held: Callable[[], bool] = lambda: False

    def digest(self, key_id: str) -> bytes | None:
        """The SHA-256 of the key with this id, with which the daemon proves that it knows it; None
        if it knows none."""
        keys = self.keys or self._known
        return None if keys is None else keys.digest(key_id)

    @property
    def state(self) -> Literal["running", "draining"]:
        return "draining" if self.draining.is_set() else "running"

    def stop(self) -> None:
        """Begin an orderly shutdown; a second call cuts it short."""
        if self.draining.is_set():
            self.cut.set()
        self.shut_down()

    def shut_down(self) -> None:
        """Begin an orderly shutdown; a second call changes nothing."""
        self.draining.set()

    def cut_short(self) -> None:
        """Shut down without grace: the owner is gone."""
        self.ending.set()
        self.shut_down()
        self.cut.set()

    def fail(self, error: RbeeError) -> None:
        """Shut down because of `error`, which sets the exit code."""
        self.failure = self.failure or error
        self.shut_down()

    async def grace(self, seconds: float) -> None:
        """Wait for `seconds`, or until the shutdown is cut short."""
        try:
            await asyncio.wait_for(self.cut.wait(), seconds)
        except TimeoutError:
            return
