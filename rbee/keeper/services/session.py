"""A command's time with the queen: she is there, or is started for it, and let go of at the end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import ErrorEnvelope, RbeeError
from rbee.keeper.adapters.screen import Screen
from rbee.keeper.services.queen import Queen
from rbee.keeper.settings import KeeperSettings

Q = TypeVar("Q")

_INTERRUPTED = 130


async def with_queen(
    settings: KeeperSettings,
    screen: Screen,
    work: Callable[[Queen], Awaitable[int | None]],
    keep: bool = False,
) -> int:
    """Do `work` with the queen that runs, or with one that is started for it; `keep`: she lasts.

    Gives the exit code: the error's, else what `work` returns, else 0.
    """
    queen = Queen(settings)
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    code: int | None = 0
    try:
        await queen.reach(keep=keep)
        code = await work(queen)
    except RbeeError as error:
        screen.error(error)
        code = error.exit_code
    except asyncio.CancelledError:
        screen.close()
        screen.note("Canceled.")
        code = _INTERRUPTED
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await queen.release()
    return code or 0


async def told(
    queen: Queen, screen: Screen, endpoint: Endpoint[Q, Nothing], asked: Q
) -> AsyncIterator[object]:
    """The events of a stream, each shown as it comes. Raises the error that one of them names."""
    async with queen.client.stream(endpoint, asked) as events:
        async for event in events:
            screen.show(event)
            if isinstance(event, ErrorEnvelope):
                raise RbeeError.from_body(event.error)
            yield event


async def follow(queen: Queen, screen: Screen, endpoint: Endpoint[Q, Nothing], asked: Q) -> None:
    """Show a stream that tells of a piece of work, up to its end, which proves it."""
    async for _ in told(queen, screen, endpoint, asked):
        continue
    screen.close()
