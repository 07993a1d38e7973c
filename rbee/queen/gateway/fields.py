"""The fields of other protocols' requests, as those of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from rbee.contract.errors import InvalidRequest, RbeeError
from rbee.contract.tasks import TaskRequest
from rbee.contract.validation import convert

# An answer in a chat ends by itself. A worker reserves its context for the whole of it: with 512
# tokens of prompt, four such chats fill the context that a worker has by default.
CHAT_TOKENS = 1536
# Claude Code's, what many programs send, opencode's besides, and Codex's in three versions.
_SESSION_HEADERS = (
    "X-Claude-Code-Session-Id",
    "X-Session-Id",
    "X-Session-Affinity",
    "session-id",
    "session_id",
    "conversation_id",
)
_LONGEST_SESSION = 1024


def task(fields: Mapping[str, Any], names: Mapping[str, str]) -> TaskRequest:
    """The task with these fields. `names` are the protocol's names of a task's fields, where they
    are others. Raises INVALID_REQUEST, by the protocol's name."""
    try:
        return convert(fields, TaskRequest)
    except InvalidRequest as error:
        [wrong] = error.details["errors"]
        name = names.get(wrong["field"])
        if name is None:
            raise
        raise InvalidRequest.of(
            name, wrong["constraint"], wrong["message"], wrong["value"]
        ) from None


def with_names(error: RbeeError, name: Callable[[str], str]) -> RbeeError:
    """The error of a task, with each of its fields by its `name` in the protocol."""
    for wrong in error.details.get("errors", ()):
        field = wrong["field"]
        wrong["field"] = name(field)
        error.message = error.message.replace(f" {field}: ", f" {wrong['field']}: ", 1)
    return error


def given(message: msgspec.Struct, without: str = "") -> dict[str, Any]:
    """The fields of a message that are given, as plain values."""
    found = msgspec.to_builtins(message)
    return {name: value for name, value in _without_null(found).items() if name != without}


def session(
    headers: Mapping[str, str], key: str | None = None, user: str | None = None
) -> str | None:
    """The session of a request: the protocol's own `key` for it, else a header that clients have
    for it, else the `user`."""
    found = [key, *map(headers.get, _SESSION_HEADERS), user]
    return next((key[:_LONGEST_SESSION] for key in found if key), None)


def _without_null(found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_null(value) if name == "json_schema" else value
        for name, value in found.items()
        if value is not None
    }
