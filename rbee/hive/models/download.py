"""One model on its way: who watches it, and when nobody does any more."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from rbee.contract import events as ev
from rbee.contract.errors import RbeeError, RequestCanceled
from rbee.contract.model_ref import ModelRef
from rbee.runtime.progress import Progress

_WATCHED_WITHIN_S = 10.0
_log = logging.getLogger("model-provisioner")


class Download:
    """It goes on while somebody watches or has just asked; detached, it goes on without anybody."""

    def __init__(self, reference: ModelRef, path: Path, size_bytes: int = 0) -> None:
        self.id = secrets.token_hex(8)
        self.reference = reference
        self.path = path
        self.size_bytes = size_bytes
        self.detached = False
        self.progress: Progress[ev.Download] = Progress(lambda news: news.stage == "complete")
        self.task: asyncio.Task[None] | None = None
        self._watchers = 0
        self._asked: list[asyncio.TimerHandle] = []

    @property
    def missing_bytes(self) -> int:
        """What is still to come, as far as it was told."""
        told = self.progress.latest
        return self.size_bytes - ((told and told.bytes_downloaded) or 0)

    def ask(self, detach: bool) -> None:
        """Somebody wants it, and is given ten seconds to watch."""
        self.detached = self.detached or detach
        loop = asyncio.get_running_loop()
        self._asked.append(loop.call_later(_WATCHED_WITHIN_S, self._expire))

    async def watch(self) -> AsyncIterator[ev.Download | None]:
        """Its progress, up to `complete`; raises why it failed. The last to leave ends it."""
        self._watchers += 1
        if self._asked:
            self._asked.pop(0).cancel()
        try:
            async for news in self.progress.listen():
                yield news
        finally:
            self._watchers -= 1
            self._end_if_unwanted()

    def end(self, why: RbeeError) -> None:
        """Stop it; what has come stays on the disk."""
        self.progress.fail(why)
        if self.task is not None:
            self.task.cancel()

    async def ended(self) -> None:
        """Wait until nothing writes any more."""
        if self.task is not None:
            await asyncio.wait({self.task})

    def _expire(self) -> None:
        self._asked.pop(0)
        self._end_if_unwanted()

    def _end_if_unwanted(self) -> None:
        if not (self._watchers or self._asked or self.detached or self.progress.is_over):
            _log.info("nobody waits for %s any more: its download ends", self.reference)
            self.end(RequestCanceled("Nobody waited for the download any more."))
