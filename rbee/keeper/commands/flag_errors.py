"""What is wrong with a flag, in the words of the command line, whether the type of the message that
the flags make says it, or the queen or a hive: their words are those of the API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import inspect

from rbee.contract.errors import InvalidRequest

# How `InvalidRequest.of` begins.
_OF_THE_API = "The request is not valid: "
# What a flag takes beside what its message does.
_ALSO = {"seed": ", or -1 for any"}
_FIELD = r"([a-z_]+)((?:[\[.].*)?)"
_SHOWN = 60


def for_command_line(
    error: InvalidRequest, names: Mapping[str, str], kind: type[Any] | None = None
) -> InvalidRequest:
    """The same error, which names the flag, what it may be, and what it was. `names` has the fields
    that are flags or arguments, each as it is typed; `kind` is the type of the message. What is
    wrong with another field, or for a reason in words of its own, stays as it is."""
    errors = error.details["errors"]
    wrong = errors[0] if isinstance(errors, list) and len(errors) == 1 else {}
    found = re.fullmatch(_FIELD, str(wrong.get("field")))
    if found is None or found[1] not in names or not error.message.startswith(_OF_THE_API):
        return error
    field = found[1]
    flag, value = names[field], wrong.get("value")
    if "`array` of length" in str(wrong["message"]):
        value = []  # a list that is too long to be shown comes as text
    if kind is None and not str(wrong.get("message")).startswith("Expected "):
        return _renamed(error, wrong, flag, f"{flag}: {str(wrong['message']).rstrip('.')}.")
    limits = None if kind is None else _limits(kind, field, value)
    if limits is None and flag == f"--{field}":
        flag += found[2]
    words = (limits or _without_types(str(wrong["message"]))) + _ALSO.get(field, "")
    message = f"{flag} must be {words}{_got(value)}."
    return _renamed(error, {**wrong, "message": f"must be {words}"}, flag, message)


def _renamed(
    error: InvalidRequest, wrong: Mapping[str, object], flag: str, message: str
) -> InvalidRequest:
    return type(error)(message, **{**error.details, "errors": [{**wrong, "field": flag}]})


def _got(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return ""
    if isinstance(value, str):
        short = value if len(value) <= _SHOWN else f"{value[: _SHOWN - 1]}…"
        return f", got {short!r}" if value else ", got an empty one"
    return f", got {value}"


def _without_types(message: str) -> str:
    text = message.removeprefix("Expected ").replace("`", "").rstrip(".")
    text = re.sub(r", got \w+$", "", text)  # a type; the value says more
    return re.sub(r"^(str|int|float)\b", lambda found: _KINDS[found[1]], text)


_KINDS = {"str": "a text", "int": "a whole number", "float": "a number"}


def _limits(kind: type[Any], field: str, value: object) -> str | None:
    """What the field may be, by its type; None where the message says more than the type."""
    info = inspect.type_info(kind)
    if not isinstance(info, inspect.StructType):
        return None
    found = next((each.type for each in info.fields if each.name == field), None)
    type_ = _bare(found)
    for option in map(_bare, getattr(type_, "types", (type_,))):
        if isinstance(option, inspect.IntType | inspect.FloatType):
            return _number(option) if isinstance(value, int | float) else None
        if isinstance(option, inspect.ListType) and isinstance(
            item := _bare(option.item_type), inspect.StrType
        ):
            most = option.max_length
            return _text(item, value) if isinstance(value, str) else f"given {most} times at most"
        if isinstance(option, inspect.StrType) and isinstance(value, str):
            return _text(option, value)
    return None


def _bare(type_: object) -> object:
    """Without what only documents it."""
    return type_.type if isinstance(type_, inspect.Metadata) else type_


def _number(type_: inspect.IntType | inspect.FloatType) -> str:
    words = "a whole number" if isinstance(type_, inspect.IntType) else "a number"
    if type_.ge is not None and type_.le is not None:
        return f"{words} from {type_.ge:g} to {_plain(type_.le)}"
    if type_.gt is not None and type_.le is not None:
        return f"{words} above {type_.gt:g}, {_plain(type_.le)} at most"
    if type_.ge is not None:
        return f"{words}, {type_.ge:g} or more"
    return words


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _text(type_: inspect.StrType, value: str) -> str | None:
    if not value and type_.min_length:
        return "a text"
    if type_.max_length is not None and len(value) >= min(type_.max_length, 200):
        return f"a text of at most {type_.max_length} characters"
    return None
