"""A command's time with the queen: she is there, or is started for it, and let go of at the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import RbeeError
from rbee.keeper.session.queen import Queen
from rbee.keeper.settings import KeeperSettings
from rbee.runtime.command import INTERRUPTED, READER_GONE, Interrupts
from rbee.runtime.outputs import on_reader_gone
from rbee.runtime.screen import Screen

Q = TypeVar("Q")


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
    interrupts = Interrupts()
    try:
        with on_reader_gone(interrupts.cancel_quietly):
            await queen.reach(keep=keep)
            code = await work(queen) or 0
        if interrupts.reader_is_gone:
            code = READER_GONE
    except RbeeError as error:
        screen.error(error)
        code = error.exit_code
    except BrokenPipeError:
        code = READER_GONE
    except asyncio.CancelledError:
        code = READER_GONE if interrupts.reader_is_gone else INTERRUPTED
        if code == INTERRUPTED:
            canceled(screen)
    except BaseException:
        await queen.release()
        raise
    return await leave(queen, interrupts, screen, code)


async def leave(queen: Queen, interrupts: Interrupts, screen: Screen, code: int) -> int:
    """Wait for the end of what this command started; interrupted once more, cut it short. Gives the
    exit code, which was `code` so far."""
    interrupts.on_sigint = None
    if code != INTERRUPTED or interrupts.count < 2:
        try:
            await queen.release()
            return code
        except asyncio.CancelledError:
            if code not in (INTERRUPTED, READER_GONE):
                code = INTERRUPTED
                canceled(screen)
    queen.let_go()
    await queen.client.close()
    return code


def canceled(screen: Screen) -> None:
    """Say so."""
    with contextlib.suppress(RbeeError, BrokenPipeError):
        screen.close()
    screen.note("Canceled.")


async def told(
    queen: Queen, screen: Screen, endpoint: Endpoint[Q, Nothing], asked: Q
) -> AsyncIterator[object]:
    """The events of a stream, each shown as it comes. Raises the error that one of them names."""
    async with queen.client.stream(endpoint, asked) as events:
        async for event in events:
            screen.show(event)
            yield event


async def follow(queen: Queen, screen: Screen, endpoint: Endpoint[Q, Nothing], asked: Q) -> None:
    """Show a stream that tells of a piece of work, up to its end, which proves it."""
    async for _ in told(queen, screen, endpoint, asked):
        continue
    screen.close()
