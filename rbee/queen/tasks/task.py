"""A task: one question and its answer, from the request to the last token."""

from __future__ import annotations

import secrets
import time
from typing import TypeAlias

import msgspec

from rbee.contract.embeddings import EmbeddingReply, EmbeddingRequest, RerankReply, RerankRequest
from rbee.contract.errors import RbeeError
from rbee.contract.events import Event
from rbee.contract.model_ref import ModelRef
from rbee.contract.tasks import InferenceRequest, TaskRequest
from rbee.contract.texts import DetokenizeRequest, PlainText, PromptText, TokenizeRequest, Tokens
from rbee.contract.workers import PromptReply
from rbee.queen.tasks.sessions import Session
from rbee.runtime.event_queue import EventQueue
from rbee.runtime.keyring import OPERATOR, Caller
from rbee.runtime.narration import Narrator


class _AtOnce(msgspec.Struct, frozen=True, kw_only=True):
    """A task that is answered all at once. The fields are those of TaskRequest."""

    node: str | None = None
    model: str | None = None
    backend: str | None = None
    device: int | None = None
    context: int | None = None
    force: bool = False
    explain: bool = False
    max_tokens: int = 0


class VectorRequest(_AtOnce, frozen=True, kw_only=True):
    """A task that is answered with vectors or scores."""

    texts: EmbeddingRequest | RerankRequest


class TextRequest(_AtOnce, frozen=True, kw_only=True):
    """A task that is answered with tokens, or with a text, which takes no slot."""

    asked: TokenizeRequest | DetokenizeRequest | InferenceRequest


class CountRequest(TaskRequest, frozen=True, kw_only=True):
    """A task whose prompt is counted, and not answered, which takes no slot."""


AtOnce: TypeAlias = VectorRequest | TextRequest | CountRequest
Request: TypeAlias = TaskRequest | VectorRequest | TextRequest
Answered: TypeAlias = EmbeddingReply | RerankReply | Tokens | PlainText | PromptText | PromptReply


def size_of(request: Request) -> str:
    """How much is asked, for a person."""
    if isinstance(request, TextRequest):
        return "a text"
    if isinstance(request, VectorRequest):
        texts = request.texts
        count = len(texts.texts if isinstance(texts, EmbeddingRequest) else texts.documents)
        return f"{count} text{'' if count == 1 else 's'}"
    unit = "token" if isinstance(request.prompt, list) else "character"
    length = len(request.prompt or "") + sum(
        len(each.content or "") for each in request.messages or ()
    )
    return f"a prompt of {length} {unit}{'' if length == 1 else 's'}"


class Task:
    """What every part of the work on a question needs: the `request`, with the `model` that it
    means and its full name, and the `caller` whose key asked; `events`, which its reader gets; and
    the `session` that it belongs to. One that `has_place` runs in a place that was reserved for it.
    `is_sent` is set while a worker may have the request, `has_begun` once something of the answer
    was relayed. `lost` counts the workers that went before they had answered, `deaths` those of
    them that did not end in order. `tokens` counts those that were relayed, `tokens_read` those of
    the prompt; `reply` is what one was answered that has no stream; `cancel_reason` is set once it
    is canceled."""

    def __init__(
        self,
        request: Request,
        model: ModelRef,
        caller: Caller = OPERATOR,
        has_place: bool = False,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.created_unix = time.time()
        self.request = request
        self.model = model
        self.model_name = str(model)
        self.caller = caller
        self.session = Session()
        self.has_place = has_place
        self.events = EventQueue()
        self.is_sent = False
        self.has_begun = False
        self.lost = 0
        self.deaths = 0
        self.tokens = 0
        self.tokens_read = 0
        self.reply: Answered | None = None
        self.cancel_reason: RbeeError | None = None

    def tell(self, event: Event) -> None:
        """Tell the reader, without waiting for it."""
        self.events.put_nowait(event)

    def narrate(self, emoji: str, text: str, node: str | None = None) -> None:
        """Tell the person what the queen does now."""
        Narrator(self.events.put_nowait, node).say("queen-rbee", emoji, text)
