"""An answer in the making: a sequence of the KV cache. Only the engine's thread touches it."""

from __future__ import annotations

import time
from collections.abc import Sequence as Tokens

from rbee.contract.events import Done, StopReason, Token
from rbee.contract.tasks import InferenceRequest
from rbee.worker.engine.load import Loaded
from rbee.worker.engine.request import Request, Timings
from rbee.worker.engine.slots import Slots
from rbee.worker.model.text_stream import TextStream


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
        self._text = TextStream(inference.stop)
        self._sampler = loaded.sampler(inference)
        # The slot comes last: if anything above fails, no slot is left taken.
        self._slot, self.cached = slots.take(
            self._prompt,
            self._room,
            reuse=inference.cache_prompt,
            repeatable=inference.seed is not None,
        )
        self.position = self.cached
        self._timings = Timings(request.arrived_at, len(self._prompt), self.cached)

    @property
    def unread(self) -> int:
        """How many tokens of the prompt are still to be read."""
        return len(self._prompt) - min(self.position, len(self._prompt))

    def prefill(self, count: int) -> int | None:
        """Put `count` tokens of the prompt into the batch.

        Returns the index to sample at, or None if that is not the end of the prompt.
        """
        tokens = self._prompt[self.position : self.position + count]
        complete = self.position + len(tokens) == len(self._prompt)
        return self._put(tokens, complete)

    def decode(self) -> int:
        """Put the newest token into the batch; returns the index to sample at."""
        assert self._newest is not None  # the prompt has been read
        index = self._put((self._newest,), last=True)
        assert index is not None
        return index

    def sample(self, index: int) -> tuple[Token | None, Done | None]:
        """Sample at `index`: the token to show, if any, and the end, if this was it."""
        token = self._sampler.sample(self._context, index)
        now = time.monotonic()
        if self._model.is_end(token):
            rest = self._text.finish()
            done = self._timings.done(now, "EOS")
            return (Token(rest, self._timings.tokens) if rest else None), done
        self._newest = token
        self._timings.token(now)
        text = self._text.feed(self._model.piece(token))
        reason = self._stop_reason()
        if reason is not None:
            text += self._text.finish(cut=True)
        shown = Token(text, self._timings.tokens - 1)
        return shown, self._timings.done(now, reason) if reason else None

    def free(self, keep_cache: bool = True) -> None:
        """Leave the slot. With `keep_cache` its tokens stay for the next request."""
        if not keep_cache:
            self._slots.drop(self._slot)
        self._slots.leave(self._slot)
        self._sampler.free()

    def _put(self, tokens: Tokens[int], last: bool) -> int | None:
        index = self._context.add(self._slot, self.position, tokens, outputs=int(last))
        self._slots.fill(self._slot, tokens)
        self.position += len(tokens)
        return index.start if index else None

    def _stop_reason(self) -> StopReason | None:
        if self._text.stopped:
            return "STOP_SEQUENCE"
        if self._timings.tokens >= self._inference.max_tokens:
            return "MAX_TOKENS"
        # The newest token is not in the cache yet: it needs a place before the next can follow.
        return "CONTEXT_FULL" if self.position + 1 > self._room else None
