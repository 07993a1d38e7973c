"""What the chunks of both kinds of completion share: their head, how one ends, and figures."""

from __future__ import annotations

import msgspec

from rbee.contract.events import Done, StopReason
from rbee.contract.openai import CachedTokens, FinishReason, OpenAIUsage, Timings

FINISHES: dict[StopReason, FinishReason] = {
    "EOS": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "CONTEXT_FULL": "length",
    "TOOL_CALLS": "tool_calls",
}


class Head(msgspec.Struct, frozen=True):
    """What every chunk of a request repeats. `created` is in seconds since the epoch; `model` is
    the name that the client used. `choices` are made of each prompt."""

    id: str
    created: int
    model: str
    choices: int = 1


class Figures:
    """The figures of a request with several choices: prompts are counted once each."""

    def __init__(self, choices: int) -> None:
        self._choices = choices
        self._done: dict[int, Done] = {}

    def take(self, index: int, done: Done) -> int:
        """Count a choice that is complete; how many are."""
        self._done[index] = done
        return len(self._done)

    @property
    def usage(self) -> OpenAIUsage:
        firsts = [done for index, done in self._done.items() if index % self._choices == 0]
        prompt = sum(done.prompt_tokens for done in firsts)
        answers = sum(done.total_tokens for done in self._done.values())
        cached = sum(done.cached_tokens for done in firsts)
        return OpenAIUsage(prompt, answers, prompt + answers, CachedTokens(cached))

    @property
    def timings(self) -> Timings:
        """Those of the first choice."""
        return timings_of(self._done[0])


def timings_of(done: Done) -> Timings:
    """As llama.cpp's server names them. Milliseconds, and tokens per second."""
    read = done.prompt_tokens - done.cached_tokens
    reading = done.time_to_first_token_ms
    return Timings(
        cache_n=done.cached_tokens,
        prompt_n=read,
        prompt_ms=reading,
        prompt_per_second=read * 1000 / reading if reading else 0.0,
        predicted_n=done.total_tokens,
        predicted_ms=max(done.duration_ms - reading, 0.0),
        predicted_per_second=done.tokens_per_second,
    )
