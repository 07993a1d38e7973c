"""Tasks of one's own: stopped without losing a cancellation that is meant for oneself, or finished
in spite of one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel `task` and wait until it has ended, however it ends.

    Awaiting the task itself and suppressing CancelledError would also swallow a cancellation of
    whoever waits.
    """
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # looked at: it is not reported as never retrieved


async def finish(work: Coroutine[Any, Any, Any]) -> None:
    """Do `work` to its end, which must not be far, even if whoever waits is canceled meanwhile.

    For a last word in a handler of CancelledError that raises it again. Its outcome is dropped.
    """
    task = asyncio.create_task(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


class Breakable:
    """One piece of work at a time that somebody else may break off."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._broken = False

    async def do(self, work: Coroutine[None, None, None]) -> bool:
        """Do it; whether it came to its end. Raises what it raises, and ends it where whoever waits
        is canceled."""
        task = self._task = asyncio.create_task(work)
        self._broken = False
        try:
            await task
        except asyncio.CancelledError:
            if not task.done():
                await stop(task)
            if not self._broken:
                raise
            return False
        finally:
            self._task = None
        return True

    def break_off(self) -> None:
        """Cancel what is being done, if anything is."""
        if self._task is not None:
            self._broken = True
            self._task.cancel()
