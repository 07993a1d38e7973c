"""Reads one line or several from the person at the terminal, with a history of earlier ones.

prompt_toolkit takes long to import: only a chat imports this module.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

PROMPT = "> "


class LineEditor:
    """Enter ends the input unless `is_open` says that more is to come; Alt+Enter always starts a
    new line. Ctrl+C clears the input."""

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
        """What was typed. Raises EOFError at Ctrl+D or the end of the terminal, and
        KeyboardInterrupt at a Ctrl+C with nothing to clear."""
        try:
            return await self._session.prompt_async(handle_sigint=False)
        except OSError as error:  # the terminal is gone
            raise EOFError from error

    def remember(self, line: str) -> None:
        """Add a line to the history as if it had been typed."""
        self._history.append_string(line)


class _History(FileHistory):
    """What can't be written any more, as on a disk that is full, is kept in memory alone."""

    def store_string(self, string: str) -> None:
        with contextlib.suppress(OSError):
            super().store_string(string)


def _history(path: Path) -> History:
    """A private file, or if it can't be written, memory for this chat alone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor):
            os.fchmod(descriptor, 0o600)  # an older file, too
    except OSError:
        return InMemoryHistory()
    return _History(str(path))


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
        """Ignored: no mouse is used, so what looks like its event was pasted."""

    @keys.add("c-c")
    def clear(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    return keys
