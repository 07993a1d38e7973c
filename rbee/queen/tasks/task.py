"""A task: one question and its answer, from the request to the last token."""

from __future__ import annotations

import secrets

from rbee.contract.errors import RbeeError
from rbee.contract.events import Event
from rbee.contract.model_ref import ModelRef
from rbee.contract.tasks import TaskRequest
from rbee.queen.tasks.queue import Queue
from rbee.runtime.event_queue import EventQueue
from rbee.runtime.keyring import OPERATOR, Caller
from rbee.runtime.narration import Narrator


class Task:
    """What every part of the work on a question needs: the `request`, with the `model` that it
    means, and the `caller` whose key asked; the `queue` for a busy worker; and `events`, which its
    reader gets. `tokens` counts those that were relayed; `cancel_reason` is set once it is
    canceled."""

    def __init__(
        self, request: TaskRequest, model: ModelRef, queue: Queue, caller: Caller = OPERATOR
    ) -> None:
        self.id = secrets.token_hex(8)
        self.request = request
        self.model = model
        self.caller = caller
        self.queue = queue
        self.events = EventQueue()
        self.tokens = 0
        self.cancel_reason: RbeeError | None = None

    def tell(self, event: Event) -> None:
        """Tell the reader, without waiting for it."""
        self.events.put_nowait(event)

    def narrate(self, emoji: str, text: str, node: str | None = None) -> None:
        """Tell the person what the queen does now."""
        Narrator(self.events.put_nowait, node).say("queen-rbee", emoji, text)
