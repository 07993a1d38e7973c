"""An error as the end of a stream. Elsewhere errors have the shape of all of OpenAI's."""

from __future__ import annotations

from collections.abc import Iterator

from rbee.contract.errors import RbeeError
from rbee.contract.responses import ResponseEvent
from rbee.queen.gateway.openai.refusal import refusal
from rbee.queen.gateway.responses.stream import ResponseStream

_TOO_LONG = "context_length_exceeded"


def failed(stream: ResponseStream, error: RbeeError) -> Iterator[ResponseEvent]:
    """The events with which a stream that is open ends. Its codes are few: ours is inside."""
    status = error.status or 500
    body = refusal(error, status).error
    code = "server_error" if status >= 500 else "invalid_prompt"
    if status == 429:
        code = "rate_limit_exceeded"
    elif body.code == _TOO_LONG:
        code = _TOO_LONG
    return stream.fail(code, body.message, body.rbee)
