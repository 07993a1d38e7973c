"""A task's events as pieces of an answer, which chat and generate write each in its own way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from rbee.contract.events import Call, Done, Event, Started, StopReason, Token, TokenLogprob
from rbee.contract.ollama import DoneReason, LikelyText, ReplyCall, ReplyFunction, TextLogprob
from rbee.queen.gateway.ollama.values import nanoseconds

_CUT: tuple[StopReason, ...] = ("MAX_TOKENS", "CONTEXT_FULL")


class Last(msgspec.Struct, frozen=True):
    """How an answer ended. Durations in nanoseconds; without `done` it was nothing but loading."""

    reason: DoneReason
    total_ns: int
    load_ns: int
    done: Done | None = None


class Piece(msgspec.Struct, frozen=True):
    """What an answer goes on with; the one with `last` ends it."""

    text: str = ""
    thinking: str = ""
    calls: list[ReplyCall] = []
    logprobs: list[TextLogprob] = []
    last: Last | None = None


class Pieces:
    """The pieces of one answer, in the order of the events. A call comes whole, because its
    arguments are an object here; what the model wrote in place of one is text."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._started = clock()
        self._call: Call | None = None
        self._arguments: list[str] = []
        self._likely: list[TextLogprob] = []

    def take(self, event: Event) -> Iterator[Piece]:
        """The pieces for an event; none for one that says nothing new."""
        if isinstance(event, Started):
            self._started = self._clock()
        elif isinstance(event, Token):
            yield from self._token(event)
        elif isinstance(event, Done):
            yield from self._called()
            yield Piece(logprobs=self._taken(), last=self._last(event))

    def loaded(self, reason: DoneReason) -> Piece:
        """The end of a request that asked for nothing but loading, or the opposite."""
        took = nanoseconds((self._clock() - self._began) * 1000)
        return Piece(last=Last(reason, took, took))

    def _token(self, event: Token) -> Iterator[Piece]:
        call = event.call
        if call is None or (self._call is not None and call.index != self._call.index):
            yield from self._called()
        if call is not None:
            self._call = self._call or call
            self._arguments.append(event.token)
            return
        if event.logprob is not None and event.channel == "text":
            self._likely.append(_likely(event.logprob))
        if event.channel == "reasoning" and event.token:
            yield Piece(thinking=event.token)
        elif event.token:
            yield Piece(text=event.token, logprobs=self._taken())

    def _called(self) -> Iterator[Piece]:
        """The call that is complete now, if there is one."""
        if self._call is None:
            return
        call, written = self._call, "".join(self._arguments)
        self._call, self._arguments = None, []
        name, arguments = call.name or "", _object(written)
        if arguments is None:
            yield Piece(text=f'{{"name": "{name}", "arguments": {written}}}')
        else:
            call_id = call.id or f"call_{call.index}"
            yield Piece(calls=[ReplyCall(call_id, ReplyFunction(call.index, name, arguments))])

    def _taken(self) -> list[TextLogprob]:
        likely, self._likely = self._likely, []
        return likely

    def _last(self, done: Done) -> Last:
        reason: DoneReason = "length" if done.stop_reason in _CUT else "stop"
        total = (self._clock() - self._began) * 1000
        load = (self._started - self._began) * 1000
        return Last(reason, nanoseconds(total), nanoseconds(load), done)


def gathered(pieces: Iterable[Piece]) -> Piece:
    """The one that all pieces of an answer make up."""
    found = list(pieces)
    return Piece(
        text="".join(piece.text for piece in found),
        thinking="".join(piece.thinking for piece in found),
        calls=[call for piece in found for call in piece.calls],
        logprobs=[likely for piece in found for likely in piece.logprobs],
        last=found[-1].last,
    )


def _object(written: str) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(written or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return None


def _likely(found: TokenLogprob) -> TextLogprob:
    top = [LikelyText(each.token, each.logprob, each.bytes) for each in found.top]
    return TextLogprob(found.token, found.logprob, found.bytes, top)
