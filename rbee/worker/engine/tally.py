"""What one request cost, from the moments that were noted on the way."""

from __future__ import annotations

from rbee.contract.events import Done, StopReason


class Tally:
    """Moments are seconds of one monotonic clock. Tokens are counted, the end mark is not."""

    def __init__(self, asked_at: float, prompt_tokens: int, cached_tokens: int) -> None:
        self._asked_at = asked_at
        self._prompt_tokens = prompt_tokens
        self._cached_tokens = cached_tokens
        self._first_at: float | None = None
        self._last_at = asked_at
        self.tokens = 0

    def token(self, now: float) -> None:
        """One more token was made."""
        self._first_at = now if self._first_at is None else self._first_at
        self._last_at = now
        self.tokens += 1

    def done(self, now: float, reason: StopReason) -> Done:
        """The proof of the end. The rate is that of the decode, without the prompt's reading; of
        one token alone it is the whole time's."""
        first_at = now if self._first_at is None else self._first_at
        steps, span = self.tokens - 1, self._last_at - first_at
        if steps < 1 or span <= 0:
            steps, span = self.tokens, max(now - self._asked_at, 1e-9)
        return Done(
            done=True,
            total_tokens=self.tokens,
            duration_ms=round((now - self._asked_at) * 1000, 3),
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            time_to_first_token_ms=round((first_at - self._asked_at) * 1000, 3),
            tokens_per_second=round(steps / span, 3),
            stop_reason=reason,
        )
