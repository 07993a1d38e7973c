"""Our errors in the shape of Ollama's."""

from __future__ import annotations

from rbee.contract.errors import RbeeError
from rbee.contract.ollama import OllamaError
from rbee.contract.openai import OurError

_ENDS = (".", "!", "?")


def refusal(error: RbeeError, _: int) -> OllamaError:
    """The body of an error: what went wrong and what to do, as one text."""
    body = error.envelope().error
    message = error.message if error.message.endswith(_ENDS) else f"{error.message}."
    return OllamaError(f"{message} {error.advice}".strip(), OurError(body.code, body.details))
