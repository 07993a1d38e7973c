"""`rbee-keeper infer`: one prompt, one answer."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from rbee.contract.errors import RbeeError
from rbee.contract.tasks import TaskRequest
from rbee.keeper.adapters.screen import Screen
from rbee.keeper.core.answer import summary
from rbee.keeper.services.asking import Asking
from rbee.keeper.services.queen import Queen
from rbee.keeper.settings import KeeperSettings

_INTERRUPTED = 130


async def infer(settings: KeeperSettings, screen: Screen, request: TaskRequest) -> int:
    """Ask, show, and leave nothing behind; returns the exit code.

    Ctrl+C cancels and waits for the word; a second time it ends at once.
    """
    queen = Queen(settings)
    work = asyncio.current_task()
    interrupts = 0

    def interrupt() -> None:
        nonlocal interrupts
        interrupts += 1
        if work is not None:
            work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    asking = Asking(queen, request, screen)
    try:
        return await _ask(queen, asking, screen)
    except asyncio.CancelledError:
        if interrupts == 1:
            with contextlib.suppress(asyncio.CancelledError):
                await asking.cancel()
        screen.close()
        screen.note("Canceled.")
        return _INTERRUPTED
    except BrokenPipeError:
        return 1
    finally:
        await _leave(queen, at_once=interrupts > 1)


async def _ask(queen: Queen, asking: Asking, screen: Screen) -> int:
    try:
        await queen.reach()
        done = await asking.run()
    except RbeeError as error:
        screen.close()
        asking.save()
        screen.error(error)
        return error.exit_code
    screen.close()
    screen.note(summary(done))
    return 0


async def _leave(queen: Queen, at_once: bool) -> None:
    """Wait for the end of what this command started; interrupted, cut it short."""
    if at_once:
        queen.let_go()
        return
    try:
        await queen.release()
    except asyncio.CancelledError:
        queen.let_go()
