"""A line, or several, from the person at the terminal; with the lines of earlier times at hand.

prompt_toolkit takes its time to import: only a chat imports this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

PROMPT = "> "


class LineEditor:
    """Enter ends what is typed, unless `is_open` wants more of it; Alt+Enter is a new line always.
    Ctrl+C clears the line."""

    def __init__(self, history: Path, is_open: Callable[[str], bool]) -> None:
        self._history = _history(history)
        self._session: PromptSession[str] = PromptSession(
            PROMPT,
            history=self._history,
            key_bindings=_keys(is_open),
            multiline=True,
            prompt_continuation=" " * len(PROMPT),
            enable_suspend=True,
        )

    async def read(self) -> str:
        """Raises EOFError at Ctrl+D or the terminal's end, and KeyboardInterrupt at a Ctrl+C that
        finds nothing to clear."""
        try:
            return await self._session.prompt_async(handle_sigint=False)
        except OSError as error:  # the terminal is gone
            raise EOFError from error

    def remember(self, line: str) -> None:
        """As if it had been typed."""
        self._history.append_string(line)


def _history(path: Path) -> History:
    """In a file for nobody else to read; where it can't be written, for this chat alone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor):
            os.fchmod(descriptor, 0o600)  # of an older one, too
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


def _keys(is_open: Callable[[str], bool]) -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_open(buffer.text):
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    @keys.add(Keys.Vt100MouseEvent)
    def mouse(_: KeyPressEvent) -> None:
        """None is asked for: what looks like one was pasted."""

    @keys.add("c-c")
    def clear(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    return keys
