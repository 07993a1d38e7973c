"""The processes that render chat templates, one conversation after the other."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping

import msgspec

from rbee.worker.model.killable import Kind, Process, Processes

DEADLINE_S = 10.0
_AT_ONCE = 4
# What a process may compute on, if the worker should be too busy to kill it.
_MORE_S = 2.0
_KIND = Kind(
    module="rbee.worker.model.templates.process",
    name="chat-templates",
    what="the renderer of chat templates",
    does="renders it",
)


class Templates(msgspec.Struct, frozen=True):
    """What a process must know: the templates by their names, and the special tokens' texts by the
    names that templates have for them."""

    sources: Mapping[str, str]
    tokens: Mapping[str, str]


def start_ahead() -> None:
    """Start a process for the first `Renderers` of this process, which is not there yet. Where that
    is not possible, the first conversation tries again, and says why."""
    with contextlib.suppress(OSError):
        _started_ahead().append(Process(_KIND))


@functools.cache
def _started_ahead() -> list[Process]:
    """At most one, as a worker has one model."""
    return []


class Renderers(Processes):
    """The processes for the templates of one model, which have `deadline_s` for a conversation."""

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        super().__init__(_KIND, _AT_ONCE, deadline_s, deadline_s + _MORE_S)

    def start(self) -> None:
        """Have a process: what it imports can be imported while the model loads."""
        if not _started_ahead():
            start_ahead()
        while _started_ahead():
            self.keep(_started_ahead().pop())
