"""Forms that answers are held to: documents judged by the package jsonschema, and forms that can't
be had."""

import json
from typing import Any

import jsonschema


def problem(text: str, schema: dict[str, Any]) -> str:
    """What is wrong with a document; nothing if it is valid."""
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    try:
        jsonschema.validate(json.loads(text), schema, format_checker=checker)
    except (ValueError, jsonschema.ValidationError) as error:
        return f"{str(error).splitlines()[0]}: {text!r}"
    return ""


def as_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The field of a task that asks for it."""
    return {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}


def _chain(count: int) -> dict[str, Any]:
    """Definitions each of which leads to the next."""
    found: dict[str, Any] = {
        f"d{at}": {"type": "array", "items": {"$ref": f"#/$defs/d{at + 1}"}} for at in range(count)
    }
    return {"$defs": {**found, f"d{count}": {"type": "string"}}, "$ref": "#/$defs/d0"}


_PRIMES = (7, 11, 13, 17, 19, 23, 29)
IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "an unknown type": as_schema({"type": "strin"}),
    "unique items": as_schema({"type": "array", "uniqueItems": True}),
    "a look-ahead": as_schema({"type": "string", "pattern": "^(?=a)"}),
    "itself alone": as_schema({"$ref": "#"}),
    "a remote schema": as_schema({"$ref": "http://127.0.0.1:1/schema.json"}),
    "a hard product": as_schema(
        {"allOf": [{"type": "integer", "multipleOf": prime} for prime in _PRIMES]}
    ),
    "15000 in a row": as_schema(_chain(15_000)),
    "no root": {"grammar": 'top ::= "a"'},
    "a typing error": {"grammar": 'root ::= "a"\n"b" ::= "c"'},
    "many repeats": {"grammar": 'root ::= "a"{1000000}'},
    "deep nesting": {"grammar": "root ::= " + "(" * 100_000 + '"a"' + ")" * 100_000},
    "both": {"grammar": 'root ::= "a"', "response_format": {"type": "json_object"}},
    "on and on": {"grammar": 'root ::= "a"', "ignore_eos": True},
}
