"""One request on its way through the engine. Only the engine's thread touches it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence as Tokens

from rbee.contract.events import Done, StopReason, Token
from rbee.contract.tasks import InferenceRequest
from rbee.worker.engine.slots import Slots
from rbee.worker.engine.tally import Tally
from rbee.worker.model.context import Context
from rbee.worker.model.llama import Model
from rbee.worker.model.sampling import Sampler
from rbee.worker.model.text_stream import TextStream


class Sequence:
    """Reads its prompt in chunks, then makes a token a step until something ends it."""

    def __init__(
        self,
        model: Model,
        slots: Slots,
        request: InferenceRequest,
        prompt: Tokens[int],
        room: int,
        asked_at: float,
    ) -> None:
        """`room` is how many tokens of the context it may fill in all. A slot must be free."""
        self._model = model
        self._slots = slots
        self._request = request
        self._prompt = prompt
        self._room = room
        self._next: int | None = None
        self._text = TextStream(request.stop)
        self._sampler = Sampler(
            model,
            temperature=request.temperature,
            top_k=request.top_k,
            top_p=request.top_p,
            min_p=request.min_p,
            repeat_penalty=request.repeat_penalty,
            seed=secrets.randbits(32) if request.seed is None else request.seed,
            ignore_eos=request.ignore_eos,
        )
        # Last: what fails before leaves no slot behind.
        self._slot, self.cached = slots.take(
            prompt, room, reuse=request.cache_prompt, repeatable=request.seed is not None
        )
        self.position = self.cached
        self._tally = Tally(asked_at, len(prompt), self.cached)

    @property
    def unread(self) -> int:
        """How many tokens of the prompt are still to be read."""
        return len(self._prompt) - min(self.position, len(self._prompt))

    def read(self, context: Context, count: int) -> int | None:
        """Put `count` tokens of the prompt into the batch.

        Returns the index to sample at; None while the prompt is not read to its end.
        """
        tokens = self._prompt[self.position : self.position + count]
        complete = self.position + len(tokens) == len(self._prompt)
        return self._put(context, tokens, complete)

    def go_on(self, context: Context) -> int:
        """Put the newest token into the batch; returns the index to sample at."""
        assert self._next is not None  # the prompt has been read
        index = self._put(context, (self._next,), last=True)
        assert index is not None
        return index

    def take(self, context: Context, index: int) -> tuple[Token | None, Done | None]:
        """Sample at `index`: the token to show, if any, and the end, if this was it."""
        token = self._sampler.sample(context, index)
        now = time.monotonic()
        if self._model.is_end(token):
            rest = self._text.finish()
            done = self._tally.done(now, "EOS")
            return (Token(rest, self._tally.tokens) if rest else None), done
        self._next = token
        self._tally.token(now)
        text = self._text.feed(self._model.piece(token))
        reason = self._reason()
        if reason is not None:
            text += self._text.finish()
        shown = Token(text, self._tally.tokens - 1)
        return shown, self._tally.done(now, reason) if reason else None

    def free(self, whole: bool = True) -> None:
        """Leave the slot; what it holds stays for the next request, if it is `whole`."""
        if not whole:
            self._slots.drop(self._slot)
        self._slots.leave(self._slot)
        self._sampler.free()

    def _put(self, context: Context, tokens: Tokens[int], last: bool) -> int | None:
        index = context.add(self._slot, self.position, tokens, outputs=int(last))
        self._slots.fill(self._slot, tokens)
        self.position += len(tokens)
        return index.start if index else None

    def _reason(self) -> StopReason | None:
        if self._text.stopped:
            return "STOP_SEQUENCE"
        if self._tally.tokens >= self._request.max_tokens:
            return "MAX_TOKENS"
        # The newest token is not in the cache yet: it needs a place before the next can follow.
        return "CONTEXT_FULL" if self.position + 1 > self._room else None
