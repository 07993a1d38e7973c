"""A task's events as those of a response, in the order that the protocol has for them.

The response begins when a worker has taken the request. Each item, and each part of one, opens and
closes before the next.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from rbee.contract.events import Call, Done, Event, Started, Token
from rbee.contract.openai import OurError
from rbee.contract.responses import (
    IncompleteDetails,
    InputTokens,
    OutputItem,
    OutputTokens,
    Response,
    ResponseError,
    ResponseEvent,
    ResponseUsage,
)
from rbee.queen.gateway.openai.chat import likely
from rbee.queen.gateway.openai.chunks import FINISHES
from rbee.queen.gateway.responses.items import CallItem, Item, MessageItem, ReasoningItem
from rbee.queen.gateway.responses.tools import Tools


class ResponseStream:
    """The events of one response, which is `head` when it begins."""

    def __init__(self, head: Response, tools: Tools) -> None:
        self.response = head
        self._tools = tools
        self._count = 0
        self._begun = False
        self._open: Item | None = None
        self._items: list[OutputItem] = []
        self._reasoned: set[int] = set()

    def take(self, event: Event) -> Iterator[ResponseEvent]:
        """The events for one of a task; none for one that says nothing new."""
        if isinstance(event, Started):
            yield from self._begin()
        elif isinstance(event, Token):
            yield from self._begin()
            yield from self._token(event)
        elif isinstance(event, Done):
            yield from self._begin()
            yield from self._end(event)

    def fail(self, code: str, message: str, ours: OurError) -> Iterator[ResponseEvent]:
        """The events with which a stream ends that is open already."""
        yield from self._begin()
        error = ResponseError(code, message, ours)
        output = [*self._items]
        if self._open is not None:
            output.append(self._open.item("incomplete"))
        self.response = replace(self.response, status="failed", error=error, output=output)
        yield self._whole("response.failed")

    def _begin(self) -> Iterator[ResponseEvent]:
        if self._begun:
            return
        self._begun = True
        yield self._whole("response.created")
        yield self._whole("response.in_progress")

    def _token(self, token: Token) -> Iterator[ResponseEvent]:
        if token.channel == "reasoning":
            self._reasoned.add(token.index)
        call_index = None if token.call is None else token.call.index
        if self._open is not None and self._open.key != (token.channel, call_index):
            if not token.token and token.call is None:
                return  # an empty text begins nothing
            yield from self._close("completed")
        if self._open is None:
            if not token.token and token.call is None and token.logprob is None:
                return
            self._open = self._opened(token)
            yield from self._numbered(self._open.begin())
        found = None if token.logprob is None else likely(token.logprob)
        yield from self._numbered(self._open.add(token.token, found))

    def _opened(self, token: Token) -> Item:
        index, response_id = len(self._items), self.response.id
        if token.call is not None:
            return self._call(token.call, index)
        kind = ReasoningItem if token.channel == "reasoning" else MessageItem
        return kind(index, response_id)

    def _call(self, call: Call, index: int) -> Item:
        name, namespace = self._tools.own_name(call.name or "")
        return CallItem(index, self.response.id, call, name, namespace)

    def _close(self, status: Any) -> Iterator[ResponseEvent]:
        if self._open is None:
            return
        item, self._open = self._open, None
        yield from self._numbered(item.end(status))
        self._items.append(item.item(status))

    def _end(self, done: Done) -> Iterator[ResponseEvent]:
        cut = FINISHES[done.stop_reason] == "length"
        if self._open is None and not self._items:  # an answer without a word is a message too
            self._open = opened = MessageItem(0, self.response.id)
            yield from self._numbered(opened.begin())
        yield from self._close("incomplete" if cut else "completed")
        self.response = replace(
            self.response,
            status="incomplete" if cut else "completed",
            completed_at=None if cut else int(time.time()),
            incomplete_details=IncompleteDetails() if cut else None,
            output=[*self._items],
            usage=self._usage(done),
        )
        yield self._whole("response.incomplete" if cut else "response.completed")

    def _usage(self, done: Done) -> ResponseUsage:
        return ResponseUsage(
            input_tokens=done.prompt_tokens,
            input_tokens_details=InputTokens(done.cached_tokens),
            output_tokens=done.total_tokens,
            output_tokens_details=OutputTokens(min(len(self._reasoned), done.total_tokens)),
            total_tokens=done.prompt_tokens + done.total_tokens,
        )

    def _whole(self, kind: str) -> ResponseEvent:
        self._count += 1
        return ResponseEvent(type=kind, sequence_number=self._count - 1, response=self.response)

    def _numbered(self, events: Iterator[dict[str, Any]]) -> Iterator[ResponseEvent]:
        for fields in events:
            yield ResponseEvent(sequence_number=self._count, **fields)
            self._count += 1
