"""llama.cpp's own completion: its request as a task, and the task's events as its chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from msgspec.structs import asdict, replace

from rbee.contract.errors import InvalidRequest, RbeeError
from rbee.contract.events import Done, Event, StopReason, Token
from rbee.contract.llama_cpp import Content, LlamaAnswer, LlamaCompletion, LlamaMedia, LlamaTimings
from rbee.contract.tasks import Sampling, TaskRequest
from rbee.queen.gateway.fields import CHAT_TOKENS, task, with_names
from rbee.queen.gateway.openai.chunks import timings_of

_SAME = (
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "grammar",
    "ignore_eos",
    "cache_prompt",
    "keep_alive",
)
_NEVER = -100.0
_ONLY_TEXT = "rbee can't run models that see or hear yet"
_NAMES = {
    "max_tokens": "n_predict",
    "response_format": "json_schema",
    "response_format.json_schema.schema": "json_schema",
}
_STOPS: dict[StopReason, Literal["eos", "limit", "word"]] = {
    "EOS": "eos",
    "STOP_SEQUENCE": "word",
    "MAX_TOKENS": "limit",
    "CONTEXT_FULL": "limit",
    "TOOL_CALLS": "eos",
}
# How llama.cpp's server calls what a task has.
_SETTINGS = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "grammar",
    "ignore_eos",
)


def prompt_of(asked: LlamaCompletion) -> Content:
    """The prompt without what may stand around it. Raises INVALID_REQUEST for images and sounds."""
    if asked.image_data:
        raise InvalidRequest.of("image_data", "none", _ONLY_TEXT)
    if not isinstance(asked.prompt, LlamaMedia):
        return asked.prompt
    if asked.prompt.multimodal_data:
        raise InvalidRequest.of("prompt.multimodal_data", "none", _ONLY_TEXT)
    return asked.prompt.prompt_string


def completion_task(asked: LlamaCompletion, model: str, prompt: str | list[int]) -> TaskRequest:
    """The task for one prompt. Raises INVALID_REQUEST."""
    if asked.n_probs:
        message = "Ask /v1/completions for logprobs"
        raise InvalidRequest.of("n_probs", "0", message, asked.n_probs)
    fields: dict[str, Any] = {
        name: value for name in _SAME if (value := getattr(asked, name)) not in (None, "")
    }
    if asked.temperature is not None:
        fields["temperature"] = max(asked.temperature, 0.0)
    if asked.top_k is not None:
        fields["top_k"] = max(asked.top_k, 0)
    if asked.top_p is not None:  # 0 takes nothing but the likeliest token
        fields |= {"top_k": 1} if asked.top_p <= 0 else {"top_p": min(asked.top_p, 1.0)}
    if asked.seed is not None and asked.seed >= 0:
        fields["seed"] = asked.seed
    if asked.stop is not None:
        stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop
        fields["stop"] = [stop for stop in stops if stop]
    if asked.json_schema is not None:
        form = {"type": "json_schema", "json_schema": {"schema": asked.json_schema}}
        fields["response_format"] = form
    fields["logit_bias"] = _bias(asked)
    limits = (asked.n_predict, asked.max_tokens)
    most = next((each for each in limits if each is not None and each >= 0), CHAT_TOKENS)
    return task({**fields, "model": model, "prompt": prompt, "max_tokens": most}, _NAMES)


def renamed(error: RbeeError) -> RbeeError:
    """The error of a task, with the field's name in the protocol."""
    return with_names(error, lambda field: _NAMES.get(field, field))


def _bias(asked: LlamaCompletion) -> dict[str, float]:
    pairs = asked.logit_bias or ()
    if isinstance(pairs, dict):
        return pairs
    found = {}
    for token, bias in pairs:
        name = token if isinstance(token, str) else f"{token:.0f}"
        if isinstance(bias, str):
            raise InvalidRequest.of("logit_bias", "numbers", "Expected a number or false", bias)
        if bias is not True:
            found[name] = _NEVER if bias is False else bias
    return found


def settings_of(used: Sampling) -> dict[str, Any]:
    """What a task samples by, in llama.cpp's words."""
    fields = {name: getattr(used, name) for name in _SETTINGS}
    return {
        **fields,
        "n_predict": used.max_tokens,
        "seed": -1 if used.seed is None else used.seed,
        "grammar": used.grammar or "",
        "stream": True,
    }


class CompletionStream:
    """The chunks of one answer. `model` is the name that the client used."""

    def __init__(self, model: str, used: TaskRequest) -> None:
        self._model = model
        self._used = used
        self._tokens = 0
        self._lines = False

    def take(self, event: Event) -> Iterator[LlamaAnswer]:
        """The chunks for an event of a task; none for one that says nothing new."""
        if isinstance(event, Token):
            self._tokens = max(self._tokens, event.index + 1)
            self._lines = self._lines or "\n" in event.token
            if event.token:
                yield self._chunk(event.token, self._tokens, 0)
        elif isinstance(event, Done):
            yield self._last(event)

    def _chunk(self, content: str, written: int, read: int, stop: bool = False) -> LlamaAnswer:
        return LlamaAnswer(
            index=0,
            content=content,
            tokens=[],
            stop=stop,
            id_slot=-1,
            tokens_predicted=written,
            tokens_evaluated=read,
        )

    def _last(self, done: Done) -> LlamaAnswer:
        prompt: Any = self._used.prompt
        return replace(
            self._chunk("", done.total_tokens, done.prompt_tokens, stop=True),
            model=self._model,
            prompt=prompt,
            generation_settings=settings_of(self._used),
            has_new_line=self._lines,
            truncated=done.stop_reason == "CONTEXT_FULL",
            stop_type=_STOPS[done.stop_reason],
            stopping_word=done.stop_sequence or "",
            tokens_cached=done.prompt_tokens + done.total_tokens,
            timings=_timings(done),
        )


def gathered(chunks: Iterable[LlamaAnswer]) -> LlamaAnswer:
    """The reply that all chunks of a stream make up."""
    found = list(chunks)
    return replace(found[-1], content="".join(chunk.content for chunk in found))


def _timings(done: Done) -> LlamaTimings:
    found = timings_of(done)
    return LlamaTimings(
        **asdict(found),
        prompt_per_token_ms=found.prompt_ms / found.prompt_n if found.prompt_n else 0.0,
        predicted_per_token_ms=found.predicted_ms / found.predicted_n if found.predicted_n else 0.0,
    )
