"""Our errors in the shape of llama.cpp's."""

from __future__ import annotations

from rbee.contract.errors import RbeeError
from rbee.contract.llama_cpp import LlamaError, LlamaErrorBody
from rbee.queen.gateway.openai import refusal as openai

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "unavailable_error",
}
_TOO_LONG = "context_length_exceeded"


def refusal(error: RbeeError, status: int) -> LlamaError:
    """The body of an error."""
    found = openai.refusal(error, status).error
    kind = "server_error" if status >= 500 else "invalid_request_error"
    kind = "exceed_context_size_error" if found.code == _TOO_LONG else _TYPES.get(status, kind)
    return LlamaError(LlamaErrorBody(status, found.message, kind, found.rbee))
