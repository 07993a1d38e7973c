"""`rbee-keeper infer`: one prompt, one answer."""

from __future__ import annotations

import asyncio
import contextlib

from rbee.contract.errors import RbeeError, RequestCanceled
from rbee.contract.tasks import TaskRequest
from rbee.keeper.chat.answer import summary
from rbee.keeper.chat.task import Asking
from rbee.keeper.session.queen import Queen
from rbee.keeper.session.session import canceled, leave
from rbee.keeper.settings import KeeperSettings
from rbee.runtime.command import INTERRUPTED, READER_GONE, Interrupts
from rbee.runtime.outputs import on_reader_gone
from rbee.runtime.screen import Screen

_KEEP_WARM = "→ To keep the model warm between commands: rbee-keeper daemon start"


async def infer(settings: KeeperSettings, screen: Screen, request: TaskRequest) -> int:
    """Ask, show, and leave nothing behind; returns the exit code.

    Ctrl+C cancels and waits for the word; a second time it ends at once. Where nobody reads the
    answer any more it is canceled too, and nothing is said of it.
    """
    queen = Queen(settings)
    interrupts = Interrupts()
    asking = Asking(queen, request, screen)
    try:
        with on_reader_gone(interrupts.cancel_quietly):
            code = await _ask(queen, asking, screen)
    except (asyncio.CancelledError, BrokenPipeError) as error:
        quietly = interrupts.reader_is_gone or isinstance(error, BrokenPipeError)
        code = READER_GONE if quietly else INTERRUPTED
        await _cancel(asking, interrupts)
    if code == INTERRUPTED:
        _tell_program(screen, asking)
        canceled(screen)
    return await leave(queen, interrupts, screen, code)


def hint(queen: Queen, screen: Screen) -> None:
    """How to be quicker the next time, to a person who has waited for everything to start."""
    if queen.started_here and not screen.quiet and not screen.as_json:
        screen.note(_KEEP_WARM)


def _tell_program(screen: Screen, asking: Asking) -> None:
    """By the last event; an answer that is whole has had it."""
    if screen.as_json and asking.answer.done is None:
        with contextlib.suppress(RbeeError, BrokenPipeError):
            screen.show(RequestCanceled().envelope())


async def _ask(queen: Queen, asking: Asking, screen: Screen) -> int:
    try:
        await queen.reach()
        done = await asking.run()
        screen.close()
    except RbeeError as error:
        with contextlib.suppress(RbeeError):
            screen.close()
        asking.save()
        screen.error(error)
        return error.exit_code
    screen.note(summary(done))
    hint(queen, screen)
    return 0


async def _cancel(asking: Asking, interrupts: Interrupts) -> None:
    """Wait for the word, unless it is wanted at once."""
    if interrupts.count < 2:
        with contextlib.suppress(asyncio.CancelledError):
            await asking.cancel()
