"""What a schema says, without what would go on for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.worker.model import grammar

Allows = Callable[[str, str], bool]
NEST = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "allowed", "forbidden"),
    [
        (
            {"type": "number"},
            ["-12.5", "999999999999999", "0.0123456789"],
            ["1" * 17, "0." + "1" * 11],
        ),
        ({"type": "integer"}, ["-12", "999999999999999"], ["1" * 17]),
        ({"type": ["integer", "null"]}, ["null", "7"], ["1" * 17, "1.5"]),
        ({"type": "number", "minimum": 3}, ["3", "4.25"], ["2", "1" * 17]),
        ({"type": "number", "maximum": 1e-8, "exclusiveMinimum": 0}, ["0.00000000123"], ["1"]),
        ({"type": "integer", "minimum": 10**17}, [f"{10**17}"], ["1"]),
        ({"type": "number", "multipleOf": 0.25}, ["1.25"], ["1.3", "1" * 17]),
        (
            {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "number"}}]},
            ["1", "[1.5]"],
            ["1" * 17, f"[{'1' * 17}]"],
        ),
        (
            {},
            ["1", '"a"', '{"a": [null]}', "[" * 7 + "1" + "]" * 7],
            ["1" * 17, "[" * 8 + "1" + "]" * 8],
        ),
        ({"type": "array"}, ["[1, {}]"], [f"[{'1' * 17}]"]),
        ({"type": "object"}, ['{"a": {"b": []}}'], ['{"a": ' + "1" * 17 + "}"]),
        (NEST, ['{"a": 1}', "{}"], ['{"b": 1}']),
        ({**NEST, "additionalProperties": True}, ['{"a": 1, "b": 2}'], ['{"a": "c"}']),
        ({**NEST, "required": ["b"]}, ['{"a": 1, "b": 2}'], ['{"a": 1}']),
        ({**NEST, "minProperties": 2, "properties": {}}, ['{"a": 1, "b": 2}'], ['{"a": 1}']),
        (
            {"allOf": [NEST, {"properties": {"b": {"type": "null"}}, "required": ["b"]}]},
            ['{"a": 1, "b": null}'],
            ['{"a": 1}'],
        ),
        (
            {"properties": {"a": True, "b": {}}, "required": ["a", "b"], "type": "object"},
            ['{"a": [1], "b": "c"}'],
            ['{"a": 1}'],
        ),
        ({"$id": "http://a.b/c", "type": "integer"}, ["1" * 17], ["a"]),
        ({"definitions": {"n": {"type": "integer"}}, "$ref": "#/definitions/n"}, ["1"], ["1" * 17]),
    ],
    ids=str(0).format,
)
def test_its_documents_are_finite(
    allows: Allows, schema: dict[str, Any], allowed: list[str], forbidden: list[str]
) -> None:
    source = grammar.of_schema(schema)
    assert [each for each in allowed if not allows(source, each)] == []
    assert [each for each in forbidden if allows(source, each)] == []


KEYS = ["type", "properties", "required", "items", "additionalProperties", "patternProperties",
        "anyOf", "oneOf", "allOf", "$ref", "$defs", "enum", "const", "minimum", "maximum",
        "multipleOf", "minProperties", "prefixItems", "$id", "a"]  # fmt: skip
WORDS = ["object", "number", "array", "#/$defs/a", "#", "a", 1, -0.5, True, None, [], {}]
anything = st.recursive(
    st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(KEYS), anything, max_size=5))
def test_nothing_that_calls_itself_a_schema_breaks_it(schema: dict[str, Any]) -> None:
    try:
        assert grammar.of_schema(schema).startswith(grammar.HEAD)
    except ValueError as refused:
        assert str(refused) == "objects in oneOf do not exclude each other"
