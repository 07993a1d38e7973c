"""Our errors in the shape of OpenAI's."""

from __future__ import annotations

from collections.abc import Mapping

from rbee.contract.errors import RbeeError
from rbee.contract.openai import OpenAIError, OpenAIErrorBody, OurError

# What clients of the protocol look for; any other code is ours in small letters.
_CODES = {"PROMPT_TOO_LONG": "context_length_exceeded"}
_ABOUT_THE_MODEL = ("MODEL_NOT_FOUND", "MODEL_GATED", "INVALID_MODEL_REF", "MODEL_CORRUPT")
_ENDS = (".", "!", "?")


def refusal(error: RbeeError, status: int, names: Mapping[str, str] | None = None) -> OpenAIError:
    """The body of an error. `names` are the fields of this protocol that a field of ours is."""
    field = _field(error)
    body = error.envelope().error
    message = error.message if error.message.endswith(_ENDS) else f"{error.message}."
    return OpenAIError(
        OpenAIErrorBody(
            message=f"{message} {error.advice}".strip(),
            type=_type(status),
            param=(names or {}).get(field, field) if field else None,
            code=_CODES.get(body.code, body.code.lower()),
            rbee=OurError(body.code, body.details),
        )
    )


def _type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"


def _field(error: RbeeError) -> str | None:
    if error.code in _ABOUT_THE_MODEL:
        return "model"
    match error.details.get("errors"):
        case [{"field": str(field)}, *_] if field != "body":
            return field
    return None
