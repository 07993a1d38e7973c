"""A task's events as the chunks of a text completion, and the chunks as one reply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rbee.contract.events import Done, Event, Token, TokenLogprob
from rbee.contract.openai import (
    FinishReason,
    OpenAIUsage,
    TextChoice,
    TextCompletion,
    TextLogprobs,
    Timings,
)
from rbee.queen.gateway.openai.chunks import FINISHES, Figures, Head, timings_of


class TextStream:
    """The chunks of one request. `echoes` are the texts that the choices begin with, in their
    order; `total` is how many choices there are in all."""

    def __init__(self, head: Head, usage: bool, total: int, echoes: Sequence[str] = ()) -> None:
        self._head = head
        self._usage = usage
        self._total = total
        self._echoes = dict(enumerate(echoes))
        self._likely: dict[int, list[TokenLogprob]] = {}
        self._offsets: dict[int, int] = {}
        self._figures = Figures(head.choices)

    def take(self, index: int, event: Event) -> Iterator[TextCompletion]:
        """The chunks for an event of the choice `index`; none for one that says nothing new."""
        if not isinstance(event, Token | Done):
            return
        if echo := self._echoes.pop(index, ""):
            yield self._chunk(index, echo)
        if isinstance(event, Token):
            if event.logprob is not None:
                self._likely.setdefault(index, []).append(event.logprob)
            if event.token:
                yield self._chunk(index, event.token)
            return
        if self._likely.get(index):
            yield self._chunk(index, "")
        yield self._chunk(index, "", FINISHES[event.stop_reason], timings_of(event))
        if self._figures.take(index, event) == self._total and self._usage:
            usage, timings = self._figures.usage, self._figures.timings
            yield self._completion([], usage, timings)

    def _chunk(
        self,
        index: int,
        text: str,
        reason: FinishReason | None = None,
        timings: Timings | None = None,
    ) -> TextCompletion:
        found = self._likely.pop(index, None)
        logprobs = None if found is None else self._logprobs(index, found)
        choice = TextChoice(index, text, reason, logprobs)
        return self._completion([choice], None, timings)

    def _logprobs(self, index: int, found: Sequence[TokenLogprob]) -> TextLogprobs:
        offsets = []
        for each in found:
            offset = self._offsets.get(index, 0)
            offsets.append(offset)
            self._offsets[index] = offset + len(each.token)
        return TextLogprobs(
            tokens=[each.token for each in found],
            token_logprobs=[each.logprob for each in found],
            top_logprobs=[{top.token: top.logprob for top in each.top} for each in found],
            text_offset=offsets,
        )

    def _completion(
        self, choices: list[TextChoice], usage: OpenAIUsage | None, timings: Timings | None
    ) -> TextCompletion:
        head = self._head
        return TextCompletion(
            id=head.id,
            created=head.created,
            model=head.model,
            choices=choices,
            usage=usage,
            timings=timings,
        )


def gathered(chunks: Iterable[TextCompletion]) -> TextCompletion:
    """The reply that all chunks of a stream make up, the one with the usage included."""
    found: dict[int, list[TextChoice]] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            found.setdefault(choice.index, []).append(choice)
        last = chunk
    return TextCompletion(
        id=last.id,
        created=last.created,
        model=last.model,
        choices=[_whole(index, found[index]) for index in sorted(found)],
        usage=last.usage,
        timings=last.timings,
    )


def _whole(index: int, parts: Sequence[TextChoice]) -> TextChoice:
    likely = [part.logprobs for part in parts if part.logprobs is not None]
    logprobs = None
    if likely:
        logprobs = TextLogprobs(
            tokens=[each for part in likely for each in part.tokens],
            token_logprobs=[each for part in likely for each in part.token_logprobs],
            top_logprobs=[each for part in likely for each in part.top_logprobs],
            text_offset=[each for part in likely for each in part.text_offset],
        )
    text = "".join(part.text for part in parts)
    return TextChoice(index, text, parts[-1].finish_reason, logprobs)
