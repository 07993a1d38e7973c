"""A message as a table of its fields, from its JSON schema."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from typing import Any

import msgspec

from pages import markdown

_REFERENCE = "#/components/schemas/"


def components(kinds: Iterable[type]) -> dict[str, Any]:
    """The JSON schemas of messages by name, including those inside others, sorted by name."""
    _, found = msgspec.json.schema_components(
        kinds, schema_hook=_anything, ref_template=f"{_REFERENCE}{{name}}"
    )
    for schema in found.values():  # before msgspec 0.23, with the indentation of the source
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    return {name: found[name] for name in sorted(found)}


def fields(schema: dict[str, Any], page: str = "") -> str:
    """A table of the object's fields, or "". `page` is where other messages are described."""
    required = schema.get("required", [])
    rows = [
        [
            markdown.code(name),
            _kind(found, page),
            _default(name, found, required),
            description(found),
        ]
        for name, found in schema.get("properties", {}).items()
    ]
    has_meaning = any(row[3] for row in rows)
    head = ["field", "type", "default", "meaning"]
    if not has_meaning:
        return markdown.table(head[:3], [row[:3] for row in rows])
    return markdown.table(head, rows)


def description(schema: dict[str, Any]) -> str:
    """A field's own description, not the one of the message that it refers to."""
    return str(schema.get("description", "")) if "$ref" not in schema else ""


def _default(name: str, schema: dict[str, Any], required: list[str]) -> str:
    if "default" in schema:
        return markdown.code(json.dumps(schema["default"], ensure_ascii=False))
    return "" if name in required else "optional"


def _kind(schema: dict[str, Any], page: str) -> str:
    if reference := schema.get("$ref"):
        name = str(reference).removeprefix(_REFERENCE)
        return f"[{name}]({page}#{markdown.anchor(name)})"
    if choices := schema.get("anyOf"):
        return " or ".join(_kind(choice, page) for choice in choices)
    if "enum" in schema:
        return ", ".join(markdown.code(json.dumps(value)) for value in schema["enum"])
    if "const" in schema:
        return markdown.code(json.dumps(schema["const"]))
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"array of {_kind(schema.get('items', {}), page)}{_bounds(schema, 'Items')}"
    if kind == "object" and isinstance(inside := schema.get("additionalProperties"), dict):
        return f"object of {_kind(inside, page)}"
    return kind + _limits(schema) + _bounds(schema, "Length")


def _limits(schema: dict[str, Any]) -> str:
    least, above, most = (schema.get(word) for word in ("minimum", "exclusiveMinimum", "maximum"))
    words = [f" above {above}"] if above is not None else []
    words += [f" from {least}"] if least is not None else []
    words += [f" to {most}"] if most is not None else []
    return "".join(words)


def _bounds(schema: dict[str, Any], of: str) -> str:
    most = schema.get(f"max{of}")
    return "" if most is None else f", at most {most}{' characters' if of == 'Length' else ''}"


def _anything(kind: type) -> dict[str, Any]:
    """`object` stands for any JSON."""
    if kind is not object:
        raise NotImplementedError
    return {"description": "Any JSON."}
