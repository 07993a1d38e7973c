"""Cancellation of asyncio tasks: stop one without losing a cancellation meant for the caller, or
finish one in spite of a cancellation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel `task` and wait until it has ended, however it ends.

    Awaiting the task itself and suppressing CancelledError would also swallow a cancellation of
    the caller.
    """
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # retrieved, so that asyncio does not report it as lost


async def finish(work: Coroutine[Any, Any, Any]) -> None:
    """Do `work` to its end, which must be near, even if the caller is canceled meanwhile.

    For clean-up in a handler of CancelledError that raises it again. The outcome is dropped.
    """
    task = asyncio.create_task(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


class Breakable:
    """One piece of work at a time, which another task may interrupt."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._broken = False

    async def do(self, work: Coroutine[None, None, None]) -> bool:
        """Do `work`, and return whether it reached its end. Raises what `work` raises; if the
        caller is canceled, so is `work`."""
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
        """Cancel the current work, if there is any."""
        if self._task is not None:
            self._broken = True
            self._task.cancel()
