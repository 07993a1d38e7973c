"""From bytes to a message, with an error that names the field, the limit and the value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from rbee.contract.errors import InvalidRequest

T = TypeVar("T")

_AT = r"(?s)^(?P<message>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$"
_UNKNOWN = r"unknown field `(?P<field>[^`]*)`"
_NAMED = r"^(?P<field>[a-z_]+): (?=Expected)"
_USER = r"(?<=://)[^/\s]+@"
_LACKS = r"missing required field `(?P<field>[^`]*)`"


def decode(body: bytes, kind: type[T]) -> T:
    """The message in `body`; raises INVALID_REQUEST with one entry for what is wrong with it."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise _explain(str(error), body) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest.of("body", "json", f"This is not JSON: {error}") from None


def decode_query(query: Mapping[str, str], kind: type[T]) -> T:
    """The same for the query of a URL, in which everything is text."""
    return convert(dict(query), kind, strict=False)


def convert(fields: Mapping[str, Any], kind: type[T], strict: bool = True) -> T:
    """The same for values of Python."""
    try:
        return msgspec.convert(fields, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise _explain(str(error), msgspec.json.encode(fields)) from None


def explain(error: msgspec.ValidationError) -> tuple[str, str]:
    """The field's path and the constraint's words of a validation error of msgspec."""
    found = re.match(_AT, str(error))
    assert found is not None  # the pattern matches any text
    message, path = found["message"], found["path"] or ""
    for pattern in (_UNKNOWN, _LACKS, _NAMED):
        if inner := re.search(pattern, message):
            path = f"{path}.{inner['field']}" if path else inner["field"]
    return path or "body", re.sub(_NAMED, "", message)


def _explain(text: str, body: bytes) -> InvalidRequest:
    field, message = explain(msgspec.ValidationError(text))
    value = _value(body, field)
    return InvalidRequest.of(
        field, message.removeprefix("Expected ").replace("`", ""), message, value
    )


def _value(body: bytes, path: str) -> Any:
    """What stands at `path` (`stop[2]`, `messages[0].role`); None where nothing does, or where the
    body is broken further on."""
    try:
        data = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for key in re.findall(r"[^.\[\]]+", path):
        if isinstance(data, list):
            data = data[int(key)] if key.isdigit() and int(key) < len(data) else None
        else:
            data = data.get(key) if isinstance(data, dict) else None
    # A megabyte of prompt helps nobody in an error.
    if isinstance(data, list | dict) and len(written := msgspec.json.encode(data)) > 200:
        data = written.decode(errors="replace")
    # A password may be just what is wrong with an address.
    return re.sub(_USER, "…@", data)[:200] if isinstance(data, str) else data
