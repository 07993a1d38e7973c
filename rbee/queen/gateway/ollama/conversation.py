"""The `context` of an answer: the conversation so far as a list of numbers, which clients send
back. In Ollama they are the ids of tokens. The queen has none, so here they are bytes: what was
said, as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rbee.contract.errors import InvalidRequest


class Turn(msgspec.Struct, frozen=True):
    role: str
    content: str


def written(turns: Sequence[Turn]) -> list[int]:
    """The turns as numbers."""
    return list(msgspec.json.encode(turns))


def read(context: Sequence[int]) -> list[Turn]:
    """The turns again. Raises INVALID_REQUEST for numbers from elsewhere."""
    try:
        return msgspec.json.decode(bytes(context), type=list[Turn])
    except (ValueError, RecursionError):
        limit = "the context of an answer of this queen"
        message = f"Expected {limit}, because token ids mean nothing here"
        raise InvalidRequest.of("context", limit, message) from None
