"""Ten JSON schemas, of what people ask for: each of another kind."""

from __future__ import annotations

from typing import Any

_NAME = {"type": "string", "minLength": 1, "maxLength": 20}
SCHEMAS: dict[str, dict[str, Any]] = {
    "nested objects": {
        "type": "object",
        "properties": {
            "name": _NAME,
            "home": {
                "type": "object",
                "properties": {"town": _NAME, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}},
                "required": ["town", "zip"],
                "additionalProperties": False,
            },
        },
        "required": ["name", "home"],
        "additionalProperties": False,
    },
    "array with limits": {
        "type": "array",
        "items": {"type": "integer", "minimum": 0, "maximum": 99},
        "minItems": 2,
        "maxItems": 5,
    },
    "enum": {
        "type": "object",
        "properties": {
            "colour": {"enum": ["red", "grün", "azul"]},
            "size": {"enum": [1, 2.5, None, "XL"]},
        },
        "required": ["colour", "size"],
        "additionalProperties": False,
    },
    "alternatives": {
        "anyOf": [
            {
                "type": "object",
                "properties": {"kind": {"const": "circle"}, "radius": {"type": "number"}},
                "required": ["kind", "radius"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"kind": {"const": "square"}, "side": {"type": "integer"}},
                "required": ["kind", "side"],
                "additionalProperties": False,
            },
            {"type": "null"},
        ]
    },
    "recursive definitions": {
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "maxLength": 10},
                    "below": {"type": "array", "items": {"$ref": "#/$defs/leaf"}, "maxItems": 3},
                },
                "required": ["name", "below"],
                "additionalProperties": False,
            },
            "leaf": {"anyOf": [{"type": "boolean"}, {"$ref": "#/$defs/nothing"}]},
            "nothing": {"type": "array", "maxItems": 0},
        },
        "$ref": "#/$defs/tree",
    },
    "patterns": {
        "type": "object",
        "properties": {
            "plate": {"type": "string", "pattern": "^[A-Z]{1,3}-[A-Z]{1,2} [1-9][0-9]{0,3}$"},
            "version": {"type": "string", "pattern": r"^v\d+\.\d+$", "maxLength": 10},
        },
        "required": ["plate", "version"],
        "additionalProperties": False,
    },
    "formats": {
        "type": "object",
        "properties": {
            "day": {"type": "string", "format": "date"},
            "id": {"type": "string", "format": "uuid"},
            "address": {"type": "string", "format": "ipv4"},
        },
        "required": ["day", "id", "address"],
        "additionalProperties": False,
    },
    "numbers with ranges": {
        "type": "object",
        "properties": {
            "degrees": {"type": "number", "minimum": -89.5, "maximum": 89.5},
            "year": {"type": "integer", "exclusiveMinimum": 1899, "maximum": 2100},
            "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        },
        "required": ["degrees", "year", "share"],
        "additionalProperties": False,
    },
    "unicode": {
        "type": "object",
        "properties": {
            "größe": {"type": "string", "maxLength": 12},
            "名前": {"type": "string", "pattern": "^[\\u3040-\\u30ff\\u4e00-\\u9fff]{1,6}$"},
        },
        "required": ["größe", "名前"],
        "additionalProperties": False,
    },
    "map": {
        "type": "object",
        "properties": {"total": {"type": "integer"}},
        "required": ["total"],
        "patternProperties": {"^[a-z]{1,6}$": {"type": "integer"}},
        "additionalProperties": False,
        "maxProperties": 4,
    },
}
