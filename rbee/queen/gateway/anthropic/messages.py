"""A task's events as the events of a message, and those as one reply."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from rbee.contract.anthropic import (
    AnthropicEvent,
    AnthropicMessage,
    AnthropicUsage,
    EventDelta,
    MessageStop,
    OutputBlock,
    OutputTokensDetails,
)
from rbee.contract.events import Call, Channel, Done, Event, Started, StopReason, Token
from rbee.queen.gateway.anthropic import signature

Display = Literal["whole", "omitted", "none"]
_STOPS: dict[StopReason, MessageStop] = {
    "EOS": "end_turn",
    "STOP_SEQUENCE": "stop_sequence",
    "MAX_TOKENS": "max_tokens",
    "CONTEXT_FULL": "model_context_window_exceeded",
    "TOOL_CALLS": "tool_use",
}
_PING = AnthropicEvent("ping")


class Head(msgspec.Struct, frozen=True):
    """What is known of a message before it begins. `model` is the name that the client used,
    `stops` are the client's own stop sequences, `thinking` is how much of the reasoning is shown;
    `silent` is for a prompt that is only read."""

    id: str
    model: str
    stops: Collection[str] = ()
    thinking: Display = "whole"
    silent: bool = False


class MessageStream:
    """The events of one message. Each part of the answer that differs from the one before, as text,
    reasoning, or one of the calls, is a block."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._begun = False
        self._open: tuple[Channel, int] | None = None
        self._blocks = 0
        self._thought: list[str] = []
        self._thinking_tokens: set[int] = set()

    def take(self, event: Event) -> Iterator[AnthropicEvent]:
        """The events for one of the task; none for one that says nothing new."""
        if isinstance(event, Started):
            yield from self._begin(event.prompt_tokens or 0)
        elif isinstance(event, Token):
            if event.channel == "reasoning":
                self._thinking_tokens.add(event.index)
            if self._shows(event):
                yield from self._part(event)
        elif isinstance(event, Done):
            yield from self._begin(event.prompt_tokens)
            yield from self._close()
            yield from self._end(event)

    def _begin(self, prompt_tokens: int) -> Iterator[AnthropicEvent]:
        """A task may be given to another worker before its first token: a message begins once."""
        if self._begun:
            return
        self._begun = True
        head, usage = self._head, AnthropicUsage(prompt_tokens, 0)
        message = AnthropicMessage(id=head.id, model=head.model, usage=usage)
        yield AnthropicEvent("message_start", message=message)
        yield _PING

    def _shows(self, event: Token) -> bool:
        if self._head.silent or (event.channel == "reasoning" and self._head.thinking == "none"):
            return False
        return bool(event.token) or (event.call is not None and event.call.name is not None)

    def _part(self, event: Token) -> Iterator[AnthropicEvent]:
        place = event.channel, event.call.index if event.call else 0
        if place != self._open:
            yield from self._close()
            self._open = place
            block = self._block(event.channel, event.call)
            yield AnthropicEvent("content_block_start", self._blocks, content_block=block)
        if event.channel == "text":
            yield self._add(EventDelta("text_delta", text=event.token))
        elif event.channel == "tool_call" and event.token:
            yield self._add(EventDelta("input_json_delta", partial_json=event.token))
        elif event.channel == "reasoning":
            self._thought.append(event.token)
            if self._head.thinking == "whole":
                yield self._add(EventDelta("thinking_delta", thinking=event.token))

    def _block(self, channel: Channel, call: Call | None) -> OutputBlock:
        if channel == "reasoning":
            return OutputBlock("thinking", thinking="", signature="")
        if call is None:
            return OutputBlock("text", text="")
        call_id = call.id or f"toolu_{self._head.id[-16:]}_{call.index}"
        return OutputBlock("tool_use", id=call_id, name=call.name or "", input={})

    def _close(self) -> Iterator[AnthropicEvent]:
        if self._open is None:
            return
        if self._open[0] == "reasoning":
            shown = self._head.thinking == "whole"
            signed = signature.of("".join(self._thought), shown)
            yield self._add(EventDelta("signature_delta", signature=signed))
            self._thought = []
        yield AnthropicEvent("content_block_stop", self._blocks)
        self._open = None
        self._blocks += 1

    def _add(self, delta: EventDelta) -> AnthropicEvent:
        return AnthropicEvent("content_block_delta", self._blocks, delta=delta)

    def _end(self, done: Done) -> Iterator[AnthropicEvent]:
        reason, stop = _STOPS[done.stop_reason], None
        if reason == "stop_sequence":
            # The model's chat template has stop sequences of its own.
            stop = done.stop_sequence if done.stop_sequence in self._head.stops else None
            reason = reason if stop else "end_turn"
        if self._head.silent:
            reason, stop = "max_tokens", None
        usage = AnthropicUsage(
            input_tokens=done.prompt_tokens - done.cached_tokens,
            output_tokens=0 if self._head.silent else done.total_tokens,
            cache_read_input_tokens=done.cached_tokens,
            output_tokens_details=OutputTokensDetails(len(self._thinking_tokens)),
        )
        delta = EventDelta(stop_reason=reason, stop_sequence=stop)
        yield AnthropicEvent("message_delta", delta=delta, usage=usage)
        yield AnthropicEvent("message_stop")


def gathered(events: Iterable[AnthropicEvent]) -> AnthropicMessage:
    """The reply that all events of a stream make up."""
    blocks: list[tuple[OutputBlock, list[EventDelta]]] = []
    for event in events:
        if isinstance(event.message, AnthropicMessage):
            message = event.message
        elif isinstance(event.content_block, OutputBlock):
            blocks.append((event.content_block, []))
        elif event.type == "content_block_delta" and isinstance(event.delta, EventDelta):
            blocks[-1][1].append(event.delta)
        elif event.type == "message_delta":
            last = event
    assert isinstance(last.delta, EventDelta)
    return replace(
        message,
        content=[_whole(block, deltas) for block, deltas in blocks],
        stop_reason=last.delta.stop_reason,
        stop_sequence=last.delta.stop_sequence,
        usage=last.usage,
    )


def _whole(block: OutputBlock, deltas: list[EventDelta]) -> OutputBlock:
    if block.type == "tool_use":
        return replace(block, input=_object("".join(each.partial_json or "" for each in deltas)))
    if block.type == "text":
        return replace(block, text="".join(each.text or "" for each in deltas))
    thinking = "".join(each.thinking or "" for each in deltas)
    return replace(block, thinking=thinking, signature=deltas[-1].signature)


def _object(arguments: str) -> dict[str, Any]:
    """The arguments of a call. What is not a JSON object, because the model wrote none or was cut,
    is one with that text, which no schema takes for what it is not."""
    if not arguments:
        return {}
    with contextlib.suppress(msgspec.MsgspecError, RecursionError):
        return msgspec.json.decode(arguments, type=dict[str, Any])
    return {"unreadable_arguments": arguments}
