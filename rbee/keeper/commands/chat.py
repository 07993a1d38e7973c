"""`rbee-keeper infer --interactive`: a chat in the terminal."""

from __future__ import annotations

import asyncio

from rbee.contract.errors import RbeeError
from rbee.contract.tasks import TaskRequest
from rbee.keeper.chat.chat import Chat
from rbee.keeper.chat.conversation import is_open
from rbee.keeper.commands.infer import hint
from rbee.keeper.session.queen import Queen
from rbee.keeper.session.session import canceled, leave
from rbee.keeper.settings import KeeperSettings
from rbee.keeper.terminal.line_editor import LineEditor
from rbee.runtime import paths
from rbee.runtime.command import INTERRUPTED, READER_GONE, Interrupts
from rbee.runtime.screen import Screen


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
        code = READER_GONE
    return await leave(queen, interrupts, screen, code)
