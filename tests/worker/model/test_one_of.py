"""Exactly one alternative: where it is sure, it is as good as any; elsewhere it is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from rbee.contract.errors import InvalidRequest
from rbee.worker.model import grammar
from rbee.worker.model.llama import Model

Allows = Callable[[str, str], bool]


def tagged(tag: str, **more: Any) -> dict[str, Any]:
    names = {"kind": {"const": tag}, **more}
    return {"type": "object", "properties": names, "required": list(names)}


@pytest.mark.parametrize(
    ("schema", "allowed", "forbidden"),
    [
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, ['"a"', "1"], ["null"]),
        ({"oneOf": [{"const": 1}, {"enum": [2, 3]}, {"type": "null"}]}, ["1", "3", "null"], ["4"]),
        (
            {"oneOf": [tagged("cat", lives={"type": "integer"}), tagged("dog")]},
            ['{"kind": "cat", "lives": 9}', '{"kind": "dog"}'],
            ['{"kind": "dog", "lives": 9}', '{"kind": "cat"}'],
        ),
        (
            {
                "$defs": {"cat": tagged("cat"), "dog": tagged("dog")},
                "type": "array",
                "items": {"oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}]},
            },
            ['[{"kind": "cat"}, {"kind": "dog"}]'],
            ['[{"kind": "cow"}]'],
        ),
        (
            {
                "oneOf": [
                    {"type": "object", "properties": {name: {"type": "null"}}, "required": [name]}
                    for name in ("a", "b")
                ]
            },
            ['{"a": null}', '{"b": null}'],
            ['{"a": null, "b": null}', "{}"],
        ),
    ],
    ids=str(0).format,
)
def test_alternatives_that_exclude_each_other(
    allows: Allows, schema: dict[str, Any], allowed: list[str], forbidden: list[str]
) -> None:
    source = grammar.of_schema(schema)
    assert [each for each in allowed if not allows(source, each)] == []
    assert [each for each in forbidden if allows(source, each)] == []


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "number"}, {"type": "integer"}],
        [{"type": "string", "maxLength": 3}, {"type": "string", "minLength": 2}],
        [{"const": 1}, {"enum": [1, 2]}],
        [{"const": "a"}, {"type": "string"}],
        [{"type": "object", "properties": {"a": {"type": "null"}}}, tagged("a")],
        [{}, {"type": "null"}],
        [{"$ref": "#/$defs/none"}, {"type": "null"}],
        [{"$ref": "#"}, {"type": "null"}],
    ],
)
def test_alternatives_that_may_hold_together_are_refused(
    vocabulary: Model, parts: list[dict[str, Any]]
) -> None:
    with pytest.raises((InvalidRequest, ValueError), match=r"oneOf|#|/\$defs/none"):
        asyncio.run(vocabulary.grammars.compile(grammar.of_schema({"oneOf": parts}), "schema"))


@pytest.mark.parametrize(
    "parts",
    [
        [tagged(str(number)) for number in range(2000)],
        [tagged("x", **{f"p{at}": {"enum": list(range(at, 900))} for at in range(300)})] * 2,
        [{"type": "object", "required": ["a", "a", "a"] * 99, "properties": {"a": {"$ref": "#"}}}]
        * 3,
    ],
    ids=str(0).format,
)
def test_to_compare_them_takes_no_long_time(parts: list[dict[str, Any]]) -> None:
    began = time.thread_time()
    with pytest.raises(ValueError, match="exclude each other"):
        grammar.of_schema({"type": "object", "properties": {"x": {"oneOf": parts}}})
    assert time.thread_time() - began < 5
