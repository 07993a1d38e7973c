"""`rbee-keeper infer --interactive`: a chat in the terminal."""

from __future__ import annotations

import asyncio

from rbee.contract.errors import RbeeError
from rbee.contract.tasks import TaskRequest
from rbee.keeper.adapters.line_editor import LineEditor
from rbee.keeper.adapters.screen import Screen
from rbee.keeper.commands.infer import hint
from rbee.keeper.core.conversation import is_open
from rbee.keeper.services.chat import Chat
from rbee.keeper.services.interrupts import INTERRUPTED, NOBODY_READS, Interrupts
from rbee.keeper.services.queen import Queen
from rbee.keeper.services.session import canceled, leave
from rbee.keeper.settings import KeeperSettings
from rbee.runtime import paths


async def chat(
    settings: KeeperSettings, screen: Screen, request: TaskRequest, first: str | None
) -> int:
    """The queen, and so the model, stays for all of it; returns the exit code."""
    queen = Queen(settings)
    interrupts = Interrupts()
    try:
        await queen.reach()
        lines = LineEditor(paths.state_dir() / "history", is_open)
        await Chat(queen, request, screen, interrupts, lines).run(first)
        code = 0
        hint(queen, screen)
    except RbeeError as error:
        screen.error(error)
        code = error.exit_code
    except asyncio.CancelledError:
        canceled(screen)
        code = INTERRUPTED
    except BrokenPipeError:  # the terminal is gone
        code = NOBODY_READS
    return await leave(queen, interrupts, screen, code)
