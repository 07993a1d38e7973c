"""One request on its way through the engine. Only the engine's thread touches it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence as Tokens

from rbee.contract.events import Done, StopReason, Token
from rbee.contract.tasks import InferenceRequest
from rbee.worker.adapters.llama import Context, Model, Sampler
from rbee.worker.core.tally import Tally
from rbee.worker.core.text import TextStream


class Sequence:
    """Reads its prompt in chunks, then makes a token a step until something ends it."""

    def __init__(
        self,
        model: Model,
        slot: int,
        request: InferenceRequest,
        prompt: Tokens[int],
        room: int,
        asked_at: float,
    ) -> None:
        """`slot` is the sequence id in the KV cache, `room` how many tokens it may fill in all."""
        self.slot = slot
        self._model = model
        self._request = request
        self._prompt = prompt
        self._room = room
        self._position = 0
        self._next: int | None = None
        self._text = TextStream(request.stop)
        self._tally = Tally(asked_at, len(prompt))
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

    @property
    def unread(self) -> int:
        """How many tokens of the prompt are still to be read."""
        return len(self._prompt) - min(self._position, len(self._prompt))

    def put(self, context: Context, count: int) -> int | None:
        """Put the next token, or `count` of the prompt, into the batch.

        Returns the index to sample at; None while the prompt is not read to its end.
        """
        if self._next is not None:
            tokens: Tokens[int] = (self._next,)
        else:
            tokens = self._prompt[self._position : self._position + count]
        complete = self._position + len(tokens) >= len(self._prompt)
        index = context.add(self.slot, self._position, tokens, complete)
        self._position += len(tokens)
        return index if complete else None

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

    def free(self, context: Context) -> None:
        """Give the slot's part of the cache back."""
        context.forget(self.slot)
        self._sampler.free()

    def _reason(self) -> StopReason | None:
        if self._text.stopped:
            return "STOP_SEQUENCE"
        if self._tally.tokens >= self._request.max_tokens:
            return "MAX_TOKENS"
        # The newest token is not in the cache yet: it needs a place before the next can follow.
        return "CONTEXT_FULL" if self._position + 1 > self._room else None
