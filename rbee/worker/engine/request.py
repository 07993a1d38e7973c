"""A request on its way through the worker: what is asked, what came of it so far, what it cost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from rbee.contract.errors import RbeeError, RequestCanceled
from rbee.contract.events import Done, Prefill, StopReason, Token
from rbee.contract.tasks import InferenceRequest

if TYPE_CHECKING:  # a worker listens before it imports what makes them
    from rbee.worker.model.constraint import Constraint
    from rbee.worker.model.tool_formats.parser import Form

Vectors: TypeAlias = list[list[float]]
# What a step of the engine makes. Anything else than a part is the last output of its request.
Part: TypeAlias = Prefill | Token
Output: TypeAlias = Part | Done | Vectors | RbeeError


class Request(msgspec.Struct, eq=False):
    """One request, from its arrival to its last output. Moments are monotonic seconds.

    The event loop owns it. The engine's thread reads the first seven fields, which do not change
    once the request has been submitted, and touches nothing else.
    """

    id: str
    arrived_at: float
    # None: vectors of `texts` are wanted, not an answer.
    inference: InferenceRequest | None = None
    # Token ids. For an answer it is the prompt alone.
    texts: list[list[int]] = []
    # How many tokens of the context are reserved for it.
    room: int = 0
    # The grammar of the answer. From then on it belongs to the engine's thread.
    constraint: Constraint | None = None
    # What is looked for in the answer beside text.
    form: Form | None = None

    # What reads the prompt, until it has.
    preparing: asyncio.Task[Any] | None = None
    submitted: bool = False
    ended: bool = False
    canceled: RbeeError | None = None
    token_at: float | None = None
    tokens: int = 0
    # No more than fits into the context, and a few for each token.
    outputs: asyncio.Queue[Output] = msgspec.field(default_factory=asyncio.Queue)

    async def next(self) -> Part | Done | Vectors:
        """The next output. Raises what went wrong, and why the request was canceled."""
        output = await self.outputs.get()
        if isinstance(output, RequestCanceled):
            raise self.canceled or output
        if isinstance(output, RbeeError):
            raise output
        return output


Outputs: TypeAlias = list[tuple[Request, Output]]


class Counts(msgspec.Struct):
    """The tokens that the engine has processed so far, and how many the KV cache and the prompt
    cache hold now. Their states in the latter take `saved_bytes`."""

    read: int = 0
    cached: int = 0
    made: int = 0
    held: int = 0
    saved: int = 0
    saved_bytes: int = 0


class Timings:
    """Counts the tokens of an answer and times them. The end-of-sequence token does not count."""

    def __init__(self, arrived_at: float, prompt_tokens: int, cached_tokens: int) -> None:
        self._arrived_at = arrived_at
        self._prompt_tokens = prompt_tokens
        self._cached_tokens = cached_tokens
        self._first_at: float | None = None
        self._last_at = arrived_at
        self.tokens = 0

    def token(self, now: float) -> None:
        """Count one more token."""
        self._first_at = now if self._first_at is None else self._first_at
        self._last_at = now
        self.tokens += 1

    def done(self, now: float, reason: StopReason, stop_sequence: str | None = None) -> Done:
        """The event that proves the end.

        `tokens_per_second` is the rate of the decode, without the prefill. A single token has no
        decode, so its rate covers the whole time.
        """
        first_at = now if self._first_at is None else self._first_at
        steps, span = self.tokens - 1, self._last_at - first_at
        if steps < 1 or span <= 0:
            steps, span = self.tokens, max(now - self._arrived_at, 1e-9)
        return Done(
            done=True,
            total_tokens=self.tokens,
            duration_ms=round((now - self._arrived_at) * 1000, 3),
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            time_to_first_token_ms=round((first_at - self._arrived_at) * 1000, 3),
            tokens_per_second=round(steps / span, 3),
            stop_reason=reason,
            stop_sequence=stop_sequence,
        )
