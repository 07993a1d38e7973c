"""The pieces of an answer as chat and generate write them: each line of a stream, and the reply."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from rbee.contract.ollama import OllamaAnswer, OllamaChatPart, OllamaGeneratePart
from rbee.queen.gateway.ollama import conversation
from rbee.queen.gateway.ollama.conversation import Turn
from rbee.queen.gateway.ollama.pieces import Piece
from rbee.queen.gateway.ollama.values import nanoseconds, rfc3339


class ChatParts:
    """Each piece as a message. `model` is the name that the client used."""

    def __init__(self, model: str) -> None:
        self._model = model

    def __call__(self, piece: Piece) -> OllamaChatPart:
        message = OllamaAnswer(
            piece.text, thinking=piece.thinking or None, tool_calls=piece.calls or None
        )
        return OllamaChatPart(message=message, **_figures(self._model, piece))


class GenerateParts:
    """Each piece as text. `turns` is what the answer is to, for the `context` at its end; None for
    a raw prompt, which has none."""

    def __init__(self, model: str, turns: Sequence[Turn] | None) -> None:
        self._model = model
        self._turns = turns
        self._said: list[str] = []

    def __call__(self, piece: Piece) -> OllamaGeneratePart:
        self._said.append(piece.text)
        context: Any = UNSET
        if piece.last is not None and piece.last.done is not None and self._turns is not None:
            answer = Turn("assistant", "".join(self._said))
            context = conversation.written([*self._turns, answer])
        return OllamaGeneratePart(
            response=piece.text,
            thinking=piece.thinking or UNSET,
            context=context,
            **_figures(self._model, piece),
        )


def _figures(model: str, piece: Piece) -> dict[str, Any]:
    last = piece.last
    figures: dict[str, Any] = {"model": model, "created_at": rfc3339(time.time())}
    figures["done"] = last is not None
    if piece.logprobs:
        figures["logprobs"] = piece.logprobs
    if last is None:
        return figures
    figures |= {"done_reason": last.reason, "total_duration": last.total_ns}
    figures["load_duration"] = last.load_ns
    done = last.done
    if done is not None:
        reading = min(done.time_to_first_token_ms, done.duration_ms)
        figures["prompt_eval_count"] = done.prompt_tokens
        figures["prompt_eval_duration"] = nanoseconds(reading)
        figures["eval_count"] = done.total_tokens
        figures["eval_duration"] = nanoseconds(done.duration_ms - reading)
    return figures
