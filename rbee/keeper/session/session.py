"""A command's time with the queen: find or start it, do the work, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import NodeNotFound, RbeeError
from rbee.contract.events import Event
from rbee.keeper.session.queen import Queen
from rbee.keeper.settings import KeeperSettings
from rbee.runtime.command import READER_GONE, Interrupts
from rbee.runtime.leave import INTERRUPTED
from rbee.runtime.outputs import on_reader_gone
from rbee.runtime.screen import Screen

Q = TypeVar("Q")
R = TypeVar("R")


async def with_queen(
    settings: KeeperSettings,
    screen: Screen,
    work: Callable[[Queen], Awaitable[int | None]],
    keep: bool = False,
    with_hive: bool = False,
) -> int:
    """Do `work` with the queen that runs, or with one that is started for it; with `keep`, it then
    runs until it is told to stop; `with_hive` if the work needs the hive of this machine. Returns
    the exit code: that of an error, which is shown, or what `work` returns, or 0."""
    queen = Queen(settings, with_hive)
    interrupts = Interrupts()
    try:
        with on_reader_gone(interrupts.cancel_quietly):
            await queen.reach(keep)
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
            say_canceled(screen)
    except BaseException:
        await queen.release()
        raise
    return await leave(queen, interrupts, screen, code)


async def leave(queen: Queen, interrupts: Interrupts, screen: Screen, code: int) -> int:
    """Wait until everything that this command started has ended; another interrupt cuts that
    short. `code` is the exit code so far; returns the final one."""
    interrupts.on_sigint = None
    if code != INTERRUPTED or interrupts.count < 2:
        try:
            await queen.release()
            return code
        except asyncio.CancelledError:
            if code not in (INTERRUPTED, READER_GONE):
                code = INTERRUPTED
                say_canceled(screen)
    queen.abandon()
    await queen.client.close()
    return code


def say_canceled(screen: Screen) -> None:
    """Tell the person that the command was canceled."""
    with contextlib.suppress(RbeeError, BrokenPipeError):
        screen.close()
    screen.note("Canceled.")


@contextlib.contextmanager
def of_the_known_nodes() -> Iterator[None]:
    """A node that is not known here was misspelled: it is not to be added."""
    try:
        yield
    except NodeNotFound as error:
        error.details["hint"] = "To see the known nodes: rbee-keeper setup list-nodes"
        raise


async def call_for(queen: Queen, endpoint: Endpoint[Nothing, R], node: str | None) -> R:
    """Ask the queen about `node`, or about all nodes. Raises NODE_NOT_FOUND."""
    if node is None:
        return await queen.client.call(endpoint)
    return await queen.client.call(endpoint, node=node)


async def events_of(
    queen: Queen, screen: Screen, endpoint: Endpoint[Q, Nothing], request: Q
) -> AsyncIterator[Event]:
    """The events of a stream, each shown as it comes. Raises the error that one of them reports."""
    async with queen.client.stream(endpoint, request) as events:
        async for event in events:
            screen.show(event)
            yield event


async def follow(queen: Queen, screen: Screen, endpoint: Endpoint[Q, Nothing], request: Q) -> None:
    """Show the stream of a piece of work up to its end, which proves that the work is done."""
    async for _ in events_of(queen, screen, endpoint, request):
        continue
    screen.close()
