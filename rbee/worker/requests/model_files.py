"""Looks at the files of the loaded model, on a thread of its own.

They may lie on a network share that does not answer. Then a look never ends, and whoever takes it
stands still: so the event loop takes none, and there is never more than one.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rbee.contract.errors import ComputeFailed, ShuttingDown
from rbee.gguf.file_changes import Change

# A disk that sleeps takes ten seconds to answer.
_MOST_S = 15.0
_HINT = "Check the disk or the network share that holds the model, then ask again."


class ModelFiles:
    """Knows the `file` of a model that is loaded. `find` looks at all its files, and `on_change` is
    told of a change, on the event loop; it returns what to tell those who ask from then on."""

    def __init__(
        self,
        file: Path,
        find: Callable[[], Change | None],
        on_change: Callable[[Change], str],
        most_s: float = _MOST_S,
    ) -> None:
        self._file = file
        self._find = find
        self._on_change = on_change
        self._most_s = most_s
        self._loop = asyncio.get_running_loop()
        self._wanted = threading.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._begun_at: float | None = None
        self._changed: str | None = None
        self._closed = False
        threading.Thread(target=self._run, name="model-files", daemon=True).start()

    @property
    def is_hung(self) -> bool:
        """Whether a look takes longer than it may."""
        return self._begun_at is not None and time.monotonic() - self._begun_at > self._most_s

    async def check(self) -> None:
        """Look now. Raises SHUTTING_DOWN if the files are not what was loaded, and COMPUTE_FAILED
        if there is no telling within some seconds."""
        if self.is_hung:
            raise self._unanswered()
        # A look that has begun may have missed what has changed since.
        waiting = self._loop.create_future()
        self._waiting.append(waiting)
        self._wanted.set()
        try:
            await asyncio.wait_for(waiting, self._most_s)
        except TimeoutError:
            raise self._unanswered() from None
        if self._changed is not None:
            raise ShuttingDown(self._changed)
        if self._closed:
            raise ShuttingDown

    def look(self) -> None:
        """Look soon, without waiting for it."""
        self._wanted.set()

    def close(self) -> None:
        """End the thread after the look that it takes, and refuse those who wait for one."""
        self._closed = True
        self._wanted.set()
        self._take(None, self._waiting)

    def _unanswered(self) -> ComputeFailed:
        reason = f"the disk or share that holds it has not answered for {self._most_s:g} s"
        return ComputeFailed(file=str(self._file), reason=reason, hint=_HINT)

    def _run(self) -> None:
        while self._wanted.wait() and not self._closed:
            self._wanted.clear()
            waiting, self._waiting = self._waiting, []
            self._begun_at = time.monotonic()
            change = self._find()
            self._begun_at = None
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                self._loop.call_soon_threadsafe(self._take, change, waiting)

    def _take(self, change: Change | None, waiting: list[asyncio.Future[None]]) -> None:
        if change is not None and self._changed is None and not self._closed:
            self._changed = self._on_change(change)
        for each in waiting:
            if not each.done():
                each.set_result(None)
