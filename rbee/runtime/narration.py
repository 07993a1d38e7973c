"""Narration: what goes on, for a person, one line at a time, by a named actor."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from rbee.contract.events import Narration
from rbee.runtime.log import correlation_id

Tell: TypeAlias = Callable[[Narration], None]
# Actor, emoji, text.
Say: TypeAlias = Callable[[str, str, str], None]


class Narrator:
    """Sends lines to `tell` and to the log; `node` is added to each if it is known."""

    def __init__(self, tell: Tell, node: str | None = None) -> None:
        self._tell = tell
        self._node = node

    def say(self, actor: str, emoji: str, text: str) -> None:
        """Narrate one line, under the correlation id of the current request."""
        logging.getLogger(actor).info("%s", text)
        self._tell(Narration(actor, text, correlation_id.get(), emoji, self._node))
