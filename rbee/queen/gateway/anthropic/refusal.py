"""Our errors in the shape of Anthropic's."""

from __future__ import annotations

import re

from rbee.contract.anthropic import AnthropicError, AnthropicErrorBody, AnthropicErrorDetails
from rbee.contract.errors import InvalidRequest, PromptTooLong, RbeeError
from rbee.contract.openai import OurError
from rbee.queen.gateway.anthropic.asked import name_of
from rbee.runtime.log import correlation_id

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_MOST = re.compile(r"\d+")
_ENDS = (".", "!", "?")


def refusal(error: RbeeError, status: int) -> AnthropicError:
    """The body of an error, and the event of one."""
    body = error.envelope().error
    message = _message(error)
    message = message if message.endswith(_ENDS) else f"{message}."
    return AnthropicError(
        error=AnthropicErrorBody(
            type=_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error"),
            message=f"{message} {_advice(error)}".strip(),
            rbee=OurError(body.code, body.details),
            details=_details(error),
        ),
        request_id=correlation_id.get(),
    )


def _details(error: RbeeError) -> AnthropicErrorDetails | None:
    match error.details.get("errors"):
        case [{"field": "thread"}]:
            return AnthropicErrorDetails("thread_unsupported_request")
    return None


def _advice(error: RbeeError) -> str:
    match error.details.get("errors"):
        case [{"field": str(field)} as wrong]:
            renamed = [{**wrong, "field": name_of(field)}]
            return type(error)(**{**error.details, "errors": renamed}).advice
    return error.advice


def _message(error: RbeeError) -> str:
    if not isinstance(error, InvalidRequest):
        return error.message
    match error.details.get("errors"):
        case [{"field": str(field), "constraint": str(most), "message": str(said), "value": value}]:
            if isinstance(error, PromptTooLong) and (limit := _MOST.search(most)):
                # The words by which Claude Code knows that it must shorten the conversation.
                return f"prompt is too long: {value} tokens > {limit[0]} maximum"
            return error.message if field in ("body", "path") else f"{name_of(field)}: {said}"
    return error.message
