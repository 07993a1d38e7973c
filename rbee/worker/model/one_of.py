"""`oneOf` as `anyOf`, where no document can match two alternatives.

llguidance looks for that too, but knows fewer ways, and sees only the schema that `finite_schema`
made, in which an object may be closed that was open.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_KINDS = frozenset({"object", "array", "string", "number", "boolean", "null"})
_DEEPEST = 6
_MOST_STEPS = 20_000


def without_one_of(schema: Any, root: Schema) -> Any:
    """The same with `anyOf`, wherever the alternatives exclude each other. `root` is the whole.
    Raises ValueError for objects that may hold together."""
    if isinstance(schema, list):
        return [without_one_of(each, root) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {
        name: value if name in ("enum", "const") else without_one_of(value, root)
        for name, value in schema.items()
    }
    parts = found.get("oneOf")
    if not isinstance(parts, list):
        return found
    if "anyOf" not in found and _Comparison(root).exclude_each_other(parts):
        found["anyOf"] = found.pop("oneOf")
    elif sum("object" in _kinds(_resolved(part, root) or {}) for part in parts) > 1:
        raise ValueError("objects in oneOf do not exclude each other")
    return found


class _Comparison:
    """Compares the alternatives of one schema, in no more than so many steps."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = _MOST_STEPS

    def exclude_each_other(self, parts: list[Any]) -> bool:
        """Whether surely no document matches two of them."""
        return all(self._excludes(*pair) for pair in itertools.permutations(parts, 2))

    def _excludes(self, one: Any, other: Any, depth: int = 0) -> bool:
        """Whether surely no document of `one` is also one of `other`."""
        one, other = _resolved(one, self._root), _resolved(other, self._root)
        self._left -= 1
        if one is None or other is None or depth > _DEEPEST or self._left < 0:
            return False
        if not _kinds(one) & _kinds(other):
            return True
        values, others = _values(one), _values(other)
        if values is not None and others is not None:
            self._left -= len(values) * len(others)
            return self._left >= 0 and not any(value in others for value in values)
        if _kinds(one) != {"object"}:
            return False
        names, other_names = one.get("properties", {}), other.get("properties", {})
        if not isinstance(names, Mapping) or not isinstance(other_names, Mapping):
            return False
        # The other wants a property that the one can't have.
        closed = one.get("additionalProperties") is False and "patternProperties" not in one
        if closed and any(name not in names for name in required(other)):
            return True
        # A property that the one always has is another one in the other.
        return any(
            self._excludes(names[name], other_names[name], depth + 1)
            for name in required(one)
            if name in names and name in other_names
        )


def _resolved(schema: Any, root: Schema) -> Schema | None:
    """What a reference within the whole leads to."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            break
        at: Any = root
        for name in str(schema["$ref"]).removeprefix("#/").split("/"):
            at = at.get(name) if isinstance(at, Mapping) else None
        schema = at
    return schema if isinstance(schema, Mapping) and "$ref" not in schema else None


def required(schema: Schema) -> list[str]:
    """The properties that it wants."""
    names = schema.get("required")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _kinds(schema: Schema) -> frozenset[str]:
    """Which kinds of values may be documents of it."""
    if (values := _values(schema)) is not None:
        return frozenset(map(_kind, values))
    if "type" not in schema:
        return _KINDS
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return frozenset("number" if kind == "integer" else str(kind) for kind in kinds)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"
