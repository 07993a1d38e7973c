"""Stopping a task of one's own without losing a cancellation that is meant for oneself."""

from __future__ import annotations

import asyncio
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
