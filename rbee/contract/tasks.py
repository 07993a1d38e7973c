"""What a model is asked, and how: the queen's task and the worker's inference."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
from msgspec import Meta

StopText = Annotated[str, Meta(min_length=1, max_length=256)]
RequestId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One turn of a conversation, for the model's chat template."""

    role: Annotated[str, Meta(min_length=1, max_length=32)]
    content: Annotated[str, Meta(max_length=8_000_000)]


class Sampling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What both kinds of request share. Give exactly one of `prompt` and `messages`. A prompt may
    spell out control tokens; what messages say is text, and only the model's chat template writes
    control tokens around it.

    `temperature` 0 is greedy. `keep_alive` is how long the model may stay in memory while idle:
    seconds, or a text such as "10m"; 0 stops the worker at once, a negative value keeps it.
    """

    prompt: Annotated[str, Meta(min_length=1, max_length=8_000_000)] | None = None
    messages: Annotated[list[Message], Meta(min_length=1, max_length=10_000)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] = 512
    temperature: Annotated[float, Meta(ge=0, le=5)] = 0.7
    top_p: Annotated[float, Meta(gt=0, le=1)] = 0.95
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] = 40
    min_p: Annotated[float, Meta(ge=0, le=1)] = 0.05
    repeat_penalty: Annotated[float, Meta(gt=0, le=10)] = 1.0
    seed: Annotated[int, Meta(ge=0, le=0xFFFF_FFFE)] | None = None
    stop: Annotated[list[StopText], Meta(max_length=4)] = []
    ignore_eos: bool = False
    cache_prompt: bool = True
    keep_alive: float | str | None = None

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("prompt: Expected exactly one of prompt and messages")
        if self.keep_alive is not None:
            keep_alive_s(self.keep_alive)


class InferenceRequest(Sampling, frozen=True, kw_only=True):
    """POST /v1/inference of a worker."""

    request_id: RequestId | None = None
    stream: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.stream:
            raise ValueError("stream: Expected true, because an answer is always a stream")


class TaskRequest(Sampling, frozen=True, kw_only=True):
    """POST /v2/tasks of the queen. Without `node` or `model` the queen chooses; with `explain` it
    says why. `force`: load the model even if it may not fit in memory."""

    node: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    model: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    backend: Annotated[str, Meta(min_length=1, max_length=32)] | None = None
    device: Annotated[int, Meta(ge=0, le=255)] | None = None
    force: bool = False
    explain: bool = False

    def inference(self, request_id: str) -> InferenceRequest:
        """The same request, as the worker gets it."""
        shared = {name: getattr(self, name) for name in Sampling.__struct_fields__}
        return InferenceRequest(request_id=request_id, **shared)


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def keep_alive_s(value: float | str) -> float:
    """Seconds from a number or from a text such as "90", "90s", "10m", "1h"; raises ValueError."""
    number, unit = str(value), ""
    if number[-1:] in _UNITS:
        number, unit = number[:-1], number[-1:]
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError('keep_alive: Expected seconds or a text such as "10m"')
    return seconds
