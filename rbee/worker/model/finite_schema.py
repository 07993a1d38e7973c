"""A schema whose documents are those of another, without what goes on for ever.

A number may have any number of digits, and any value may be lists in lists in lists. A model at a
high temperature writes just that, until its answer is cut off. So numbers that a schema does not
limit get at most 15 digits before the point and 10 behind it, and values of any kind are nested at
most eight deep. As in llama.cpp, an object with `properties` has no others, unless its schema says
that it may. All documents of the new schema are valid under the old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rbee.worker.model.one_of import required, without_one_of

Schema = dict[str, Any]

_LARGEST = 10**15
_SMALLEST = 1e-10
# Limits below it need digits of their own.
_SMALL = 1e-6
_LEVELS = 8
_ANY = "any-value-{}"

# What llguidance holds text to. Any other format is a remark, as JSON Schema has it.
_FORMATS = (
    "date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid",
)  # fmt: skip
_SCHEMAS_BY_NAME = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("prefixItems", "anyOf", "oneOf", "allOf")
_ONE = ("items", "additionalProperties")
# Beside these, a schema says what it means without a type.
_SAYS = ("$ref", "enum", "const", *_LISTS[1:])


def finite(schema: Mapping[str, Any]) -> Schema:
    """The new schema."""
    if _mentions(schema, "$id"):  # what it refers to would be looked for elsewhere
        return dict(schema)
    # With allOf an object may be described in several places, none of which may close it.
    found: Schema = _part(schema, close=not _mentions(schema, "allOf"))
    definitions = found.get("$defs", {})
    if isinstance(definitions, Mapping):
        found["$defs"] = {**definitions, **_any_value()}
    whole: Schema = without_one_of(found, found)
    return whole


def _mentions(value: Any, key: str) -> bool:
    if isinstance(value, Mapping):
        return key in value or any(_mentions(each, key) for each in value.values())
    return isinstance(value, list) and any(_mentions(each, key) for each in value)


def _finite(schema: Mapping[str, Any], close: bool) -> Schema:
    found = dict(schema)
    if found.get("format") not in _FORMATS:
        found.pop("format", None)
    for key in _SCHEMAS_BY_NAME:
        if isinstance(parts := found.get(key), Mapping):
            found[key] = {name: _part(each, close) for name, each in parts.items()}
    for key in _LISTS:
        if isinstance(parts := found.get(key), list):
            found[key] = [_part(each, close) for each in parts]
    for key in _ONE:
        if key in found:
            found[key] = _part(found[key], close)
    if any(key in found for key in _SAYS):
        return found
    kinds = found.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "array" in kinds:
        found.setdefault("items", _any())
    if "object" in kinds:
        _limit_object(found, close)
    if "number" in kinds or "integer" in kinds:
        _limit_number(found)
    return found


def _part(schema: Any, close: bool) -> Any:
    if schema is True or schema == {}:
        return _any()
    return _finite(schema, close) if isinstance(schema, Mapping) else schema


def _limit_object(schema: Schema, close: bool) -> None:
    names = schema.get("properties", {})
    if "additionalProperties" in schema or not isinstance(names, Mapping):
        return
    least = schema.get("minProperties", 0)
    close = close and bool(names) and "patternProperties" not in schema
    close = close and all(name in names for name in required(schema))
    close = close and isinstance(least, int) and least <= len(names)
    schema["additionalProperties"] = False if close else _any()


def _limit_number(schema: Schema) -> None:
    limits = [
        schema[key]
        for key in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
        if isinstance(schema.get(key), int | float)
    ]
    if any(abs(limit) >= _LARGEST for limit in limits):
        return
    if "minimum" not in schema and "exclusiveMinimum" not in schema:
        schema["minimum"] = -_LARGEST
    if "maximum" not in schema and "exclusiveMaximum" not in schema:
        schema["maximum"] = _LARGEST
    if schema["type"] != "integer" and not any(0 < abs(limit) < _SMALL for limit in limits):
        schema.setdefault("multipleOf", _SMALLEST)


def _any(level: int = 1) -> Schema:
    return {"$ref": f"#/$defs/{_ANY.format(level)}"}


def _any_value() -> dict[str, Schema]:
    """The definitions to which `_any` refers."""
    number: Schema = {"type": "number"}
    _limit_number(number)
    flat = [{"type": "string"}, number, {"type": "boolean"}, {"type": "null"}]
    found: dict[str, Schema] = {_ANY.format(_LEVELS): {"anyOf": flat}}
    for level in range(1, _LEVELS):
        inner = _any(level + 1)
        deep = [
            {"type": "object", "additionalProperties": inner},
            {"type": "array", "items": inner},
        ]
        found[_ANY.format(level)] = {"anyOf": [*deep, *flat]}
    return found
