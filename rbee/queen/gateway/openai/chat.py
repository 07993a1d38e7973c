"""A task's events as the chunks of a chat completion, and the chunks as one reply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rbee.contract.events import Done, Event, Token, TokenLogprob
from rbee.contract.openai import (
    CalledFunction,
    ChatAnswer,
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    ChatDelta,
    ChatLogprob,
    ChatLogprobs,
    ChatToolCall,
    ChatTopLogprob,
    ChunkChoice,
    FinishReason,
    FunctionDelta,
    Timings,
    ToolCallDelta,
)
from rbee.queen.gateway.openai.chunks import FINISHES, Figures, Head, timings_of


class ChatStream:
    """The chunks of one request, in the order of the events. With `usage`, the last one has it."""

    def __init__(self, head: Head, usage: bool) -> None:
        self._head = head
        self._usage = usage
        self._opened: set[int] = set()
        self._likely: dict[int, list[ChatLogprob]] = {}
        self._figures = Figures(head.choices)

    def take(self, index: int, event: Event) -> Iterator[ChatChunk]:
        """The chunks for an event of the choice `index`; none for one that says nothing new."""
        if isinstance(event, Token):
            if event.logprob is not None and event.channel == "text":
                self._likely.setdefault(index, []).append(likely(event.logprob))
            delta = self._delta(index, event)
            if delta is not None:
                yield self._chunk(index, delta, text=event.channel == "text")
        elif isinstance(event, Done):
            if index not in self._opened:
                yield self._chunk(index, ChatDelta(), text=False)
            if self._likely.get(index):
                yield self._chunk(index, ChatDelta(), text=True)
            reason, timings = FINISHES[event.stop_reason], timings_of(event)
            yield self._chunk(index, ChatDelta(), False, reason, timings)
            if self._figures.take(index, event) == self._head.choices and self._usage:
                yield self._last()

    def _delta(self, index: int, event: Token) -> ChatDelta | None:
        if event.call is not None:
            return ChatDelta(tool_calls=[self._call(index, event)]) if _says(event) else None
        if not event.token:
            return None
        if event.channel == "reasoning":
            return ChatDelta(reasoning_content=event.token)
        return ChatDelta(content=event.token)

    def _call(self, index: int, event: Token) -> ToolCallDelta:
        call = event.call
        assert call is not None  # `_delta` has looked
        if call.name is None:
            return ToolCallDelta(call.index, FunctionDelta(event.token))
        call_id = call.id or f"call_{self._head.id[-8:]}_{index}_{call.index}"
        function = FunctionDelta(event.token, call.name)
        return ToolCallDelta(call.index, function, call_id, "function")

    def _chunk(
        self,
        index: int,
        delta: ChatDelta,
        text: bool,
        reason: FinishReason | None = None,
        timings: Timings | None = None,
    ) -> ChatChunk:
        """With `text`, the likelihoods that have come since the last one go with it."""
        if index not in self._opened:
            self._opened.add(index)
            delta = ChatDelta("assistant", delta.content, delta.reasoning_content, delta.tool_calls)
        untold = self._likely.pop(index, None) if text else None
        logprobs = None if untold is None else ChatLogprobs(untold)
        choice = ChunkChoice(index, delta, reason, logprobs)
        head = self._head
        return ChatChunk(
            id=head.id, created=head.created, model=head.model, choices=[choice], timings=timings
        )

    def _last(self) -> ChatChunk:
        head = self._head
        return ChatChunk(
            id=head.id,
            created=head.created,
            model=head.model,
            choices=[],
            usage=self._figures.usage,
            timings=self._figures.timings,
        )


class _Answer:
    """What the deltas of one choice make up."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.calls: dict[int, tuple[str, str, list[str]]] = {}
        self.likely: list[ChatLogprob] | None = None
        self.reason: FinishReason = "stop"

    def take(self, choice: ChunkChoice) -> None:
        delta = choice.delta
        self.text.append(delta.content or "")
        self.reasoning.append(delta.reasoning_content or "")
        for call in delta.tool_calls or ():
            name = call.function.name or ""
            _, _, arguments = self.calls.setdefault(call.index, (call.id or "", name, []))
            arguments.append(call.function.arguments)
        if choice.logprobs is not None:
            self.likely = [*(self.likely or ()), *choice.logprobs.content]
        self.reason = choice.finish_reason or self.reason

    def choice(self, index: int) -> ChatChoice:
        calls = [
            ChatToolCall(call_id, CalledFunction(name, "".join(arguments)))
            for call_id, name, arguments in self.calls.values()
        ]
        text = "".join(self.text)
        message = ChatAnswer(
            text if text or not calls else None,
            reasoning_content="".join(self.reasoning) or None,
            tool_calls=calls or None,
        )
        logprobs = None if self.likely is None else ChatLogprobs(self.likely)
        return ChatChoice(index, message, self.reason, logprobs)


def gathered(chunks: Iterable[ChatChunk]) -> ChatCompletion:
    """The reply that all chunks of a stream make up, the one with the usage included."""
    answers: dict[int, _Answer] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            answers.setdefault(choice.index, _Answer()).take(choice)
        last = chunk
    assert last.usage is not None and last.timings is not None
    return ChatCompletion(
        id=last.id,
        created=last.created,
        model=last.model,
        choices=[answers[index].choice(index) for index in sorted(answers)],
        usage=last.usage,
        timings=last.timings,
    )


def _says(event: Token) -> bool:
    return bool(event.token) or (event.call is not None and event.call.name is not None)


def likely(found: TokenLogprob) -> ChatLogprob:
    """How likely a token was, in the protocol's form."""
    top = [ChatTopLogprob(each.token, each.logprob, each.bytes) for each in found.top]
    return ChatLogprob(found.token, found.logprob, found.bytes, top)
