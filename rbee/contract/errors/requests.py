"""What is wrong with a request, or with who makes it."""

from __future__ import annotations

from typing import Self

from rbee.contract import advice
from rbee.contract.envelope import RbeeError


class InvalidRequest(RbeeError):
    """`errors` is a list of `{field, constraint, message, value}`; `hint`, where there is one, the
    next step if that is not to correct a field."""

    code, status, keys = "INVALID_REQUEST", 400, ("errors",)
    says = "The request is not valid."

    @property
    def advice(self) -> str:
        if isinstance(hint := self.details.get("hint"), str):
            return hint
        errors = self.details["errors"] or []
        fields = [
            str(error["field"]) for error in errors if isinstance(error, dict) and "field" in error
        ]
        return f"Correct {', '.join(fields)} and try again." if fields else ""

    @classmethod
    def of(
        cls,
        field: str,
        constraint: str,
        message: str,
        value: object = None,
        hint: str | None = None,
    ) -> Self:
        """The error of one field."""
        error = {"field": field, "constraint": constraint, "message": message, "value": value}
        extras = {} if hint is None else {"hint": hint}
        return cls(f"The request is not valid: {field}: {message}", errors=[error], **extras)


class PromptTooLong(InvalidRequest):
    code = "PROMPT_TOO_LONG"

    @property
    def advice(self) -> str:
        return "Shorten the prompt, or raise [worker] context up to what the model was trained for."


class InvalidApiKey(RbeeError):
    code, status, keys = "INVALID_API_KEY", 401, ("host",)
    says = "{host} does not accept the API key."

    @property
    def advice(self) -> str:
        hint = self.details.get("hint")
        return hint if isinstance(hint, str) else advice.of_api_key(self.details)


class NotFound(InvalidRequest):
    """A route, a worker or a request that is not there."""

    status = 404
