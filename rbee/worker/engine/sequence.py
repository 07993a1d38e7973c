"""An answer in the making: a sequence of the KV cache. Only the engine's thread touches it."""

from __future__ import annotations

import time
from collections.abc import Sequence as Tokens

from rbee.contract.events import Call, Done, Prefill, StopReason, Token, TokenLogprob
from rbee.contract.tasks import InferenceRequest
from rbee.worker.engine.load import Loaded
from rbee.worker.engine.request import Request, Timings
from rbee.worker.engine.slots import Slots
from rbee.worker.model.answer_stream import AnswerStream
from rbee.worker.model.tool_formats.source import Piece

# How often a prompt's progress is told at most.
_BETWEEN_TOLD_S = 0.1


class Sequence:
    """Reads its prompt in chunks, then makes one token per step until something ends it."""

    def __init__(
        self, loaded: Loaded, slots: Slots, request: Request, inference: InferenceRequest
    ) -> None:
        """At least one slot must be free."""
        self._model = loaded.model
        self._context = loaded.context
        self._slots = slots
        self._inference = inference
        [self._prompt] = request.texts
        self._room = request.room
        self._newest: int | None = None
        self._answer = AnswerStream(inference.stop, request.form)
        self._last = Piece("", "reasoning" if request.form and request.form.inside else "text")
        self._sampler = loaded.sampler(inference, request.constraint)
        # The slot comes last: if anything above fails, no slot is left taken.
        self._slot, self.cached = slots.take(
            self._prompt,
            self._room,
            reuse=inference.cache_prompt,
            repeatable=inference.seed is not None,
        )
        self.position = self.cached
        self.may_be_interrupted = inference.seed is None
        self._timings = Timings(request.arrived_at, len(self._prompt), self.cached)
        self._told_at = time.monotonic()

    @property
    def unread(self) -> int:
        """How many tokens of the prompt are still to be read."""
        return len(self._prompt) - min(self.position, len(self._prompt))

    @property
    def made(self) -> int:
        """How many tokens the answer has so far."""
        return self._timings.tokens

    def prefill(self, count: int, in_long_step: bool = False) -> int | None:
        """Put `count` tokens of the prompt into the batch.

        Returns the index to sample at, or None if that is not the end of the prompt.
        """
        tokens = self._prompt[self.position : self.position + count]
        complete = self.position + len(tokens) == len(self._prompt)
        return self._put(tokens, complete, in_long_step)

    def take_back(self, count: int) -> None:
        """The step with the last `count` tokens of the prompt was interrupted."""
        self.position -= count
        self._slots.take_back(self._slot, count)
        self.may_be_interrupted = False

    def progress(self) -> Prefill | None:
        """How much of the prompt has been read, if there is more, and it was not told lately."""
        now = time.monotonic()
        if not self.unread or now - self._told_at < _BETWEEN_TOLD_S:
            return None
        self._told_at = now
        return Prefill(self.position, len(self._prompt), self.cached)

    def decode(self) -> int:
        """Put the newest token into the batch; returns the index to sample at."""
        assert self._newest is not None  # the prompt has been read
        index = self._put((self._newest,), last=True)
        assert index is not None
        return index

    def sample(self, index: int) -> tuple[list[Token], Done | None]:
        """Sample at `index`: the events to show, and the end, if this was it. Raises
        INVALID_REQUEST if the answer's grammar has no way on."""
        token = self._sampler.sample(self._context, index)
        now = time.monotonic()
        if self._model.is_end(token):
            rest = self._events(self._answer.finish(), self._timings.tokens - 1)
            return rest, self._timings.done(now, "TOOL_CALLS" if self._answer.called else "EOS")
        self._newest = token
        self._timings.token(now)
        text = self._model.piece(token)
        control = self._model.spelled(token) if self._answer.has_marks and not text else b""
        pieces = self._answer.feed(text, control)
        reason = self._stop_reason()
        if reason is not None:
            pieces += self._answer.finish(cut=True)
        pieces = pieces or [_nothing_more(self._last)]
        shown = self._events(pieces, self._timings.tokens - 1, self._sampler.logprob)
        return shown, self._timings.done(now, reason, self._answer.stop_found) if reason else None

    def free(self, keep_cache: bool = True) -> None:
        """Leave the slot. With `keep_cache` its tokens stay for the next request."""
        if not keep_cache:
            self._slots.drop(self._slot)
        self._slots.leave(self._slot)
        self._sampler.free()

    def _put(self, tokens: Tokens[int], last: bool, in_long_step: bool = False) -> int | None:
        index = self._context.add(self._slot, self.position, tokens, outputs=int(last))
        self._slots.fill(self._slot, tokens, in_long_step)
        self.position += len(tokens)
        return index.start if index else None

    def _events(
        self, pieces: list[Piece], index: int, logprob: TokenLogprob | None = None
    ) -> list[Token]:
        """The first has the token's probability."""
        self._last = pieces[-1] if pieces else self._last
        each = [logprob, *([None] * len(pieces))]
        return [
            Token(piece.text, index, piece.channel, piece.call, likelihood)
            for piece, likelihood in zip(pieces, each, strict=False)
        ]

    def _stop_reason(self) -> StopReason | None:
        if self._answer.stopped:
            return "STOP_SEQUENCE"
        if self._answer.full:
            return "TOOL_CALLS"
        if self._sampler.is_complete:
            return "TOOL_CALLS" if self._answer.called else "EOS"
        if self._timings.tokens >= self._inference.max_tokens:
            return "MAX_TOKENS"
        # The newest token is not in the cache yet: it needs a place before the next can follow.
        return "CONTEXT_FULL" if self.position + 1 > self._room else None


def _nothing_more(last: Piece) -> Piece:
    """What a token brings that shows nothing yet: nothing, where the last one was."""
    return Piece("", last.channel, last.call and Call(last.call.index))
