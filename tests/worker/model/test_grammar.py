"""JSON schemas: which documents they allow, and what is said of one that can't be had.

Schemas come from strangers: none may stop the worker, or keep it busy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from harness.model_files.synthetic import write_model
from rbee.contract.errors import InvalidRequest
from rbee.worker.model import grammar
from rbee.worker.model.llama import Model

Allows = Callable[[str, str], bool]
Schema = dict[str, Any]


@pytest.mark.parametrize(
    ("schema", "allowed", "forbidden"),
    [
        (
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            ['{"a": 1}', '{"a":-7}', '{\n  "a": 1\n}'],
            ["{}", '{"a": 1.5}', '{"a": 1, "b": 2}', '{"a": 1} ', '{     "a": 1}', '[{"a": 1}]'],
        ),
        ({"enum": ["on", "öff", 3, None]}, ['"on"', '"öff"', "3", "null"], ['"off"', "4"]),
        ({"const": {"a": [1, True]}}, ['{"a": [1, true]}'], ['{"a": [1, false]}', "{}"]),
        ({"type": "integer", "minimum": -3, "exclusiveMaximum": 12}, ["-3", "11"], ["-4", "12"]),
        ({"type": "number", "multipleOf": 0.5, "maximum": 2}, ["1.5", "2"], ["1.3", "2.5"]),
        (
            {"type": "string", "minLength": 2, "maxLength": 3},
            ['"éü"', '"\\n漢a"'],
            ['"a"', '"abcd"'],
        ),
        ({"type": "string", "pattern": "^[A-Z]{2}[0-9]+$"}, ['"AB1"'], ['"aB1"', '"AB1x"']),
        ({"type": "string", "format": "date"}, ['"2026-11-27"'], ['"2026-13-27"', '"today"']),
        ({"type": "string", "format": "password"}, ['"secret"'], ["1"]),
        (
            {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2},
            ["[true]", "[true, false]"],
            ["[]", "[true,true,true]", "[1]"],
        ),
        (
            {"prefixItems": [{"type": "string"}, {"type": "null"}], "items": False, "minItems": 2},
            ['["a", null]'],
            ['["a"]', '["a", null, 1]', "[null, null]"],
        ),
        (
            {"anyOf": [{"type": "string", "maxLength": 1}, {"type": "null"}]},
            ['"a"', "null"],
            ['"ab"', "1"],
        ),
        (
            {
                "$defs": {
                    "tree": {
                        "type": "object",
                        "properties": {
                            "name": {"type": "string"},
                            "below": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
                        },
                        "required": ["name", "below"],
                        "additionalProperties": False,
                    }
                },
                "$ref": "#/$defs/tree",
            },
            ['{"name": "a", "below": [{"name": "b", "below": []}]}'],
            ['{"name": "a", "below": [{"name": "b"}]}', '{"name": "a", "below": [], "c": 1}'],
        ),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            ['{"any key": 1, "other": 2}', "{}"],
            ['{"any key": "1"}'],
        ),
        ({}, ["1", '"a"', '{"a": [null]}'], ["a", "{a: 1}"]),
        (
            {"type": "integer", "x-guidance": {"lenient": True}, "description": "ä", "title": "T"},
            ["1"],
            ['"1"'],
        ),
    ],
)
def test_a_schema_allows_its_documents_and_no_others(
    allows: Allows, schema: Schema, allowed: list[str], forbidden: list[str]
) -> None:
    source = grammar.of_schema(schema)
    assert [each for each in allowed if not allows(source, each)] == []
    assert [each for each in forbidden if allows(source, each)] == []


def test_any_object_is_an_object(allows: Allows) -> None:
    source = grammar.any_object()
    assert allows(source, '{"a": [1, {"b": "\\"é"}], "": null}')
    assert not any(allows(source, text) for text in ("[]", "1", '"a"', '{"a"}', ""))


def test_a_control_token_is_never_text(allows: Allows, vocabulary: Model) -> None:
    """The tokenizer makes one token of it."""
    assert len(vocabulary.tokenizer.tokenize("<|im_start|>", 9)) == 1
    assert allows(grammar.of_schema({"type": "string"}), '"<|im_start"')
    assert not allows(grammar.of_schema({"type": "string"}), '"<|im_start|>"')


def test_a_grammar_can_begin_after_free_text(allows: Allows) -> None:
    rule = grammar.json_rule({"type": "object", "properties": {"a": {"type": "integer"}}})
    source = (
        f'{grammar.HEAD}start: text call\ntext[lazy]: /(?s:.*)/ "<call>"\ncall: {rule} "</call>"\n'
    )
    assert allows(source, 'I think {"a": "b"}\n<call>{"a": 1}</call>')
    assert not allows(source, 'I think <call>{"a": "b"}</call>')
    assert not allows(source, "I think")


def test_a_grammar_can_name_control_tokens(allows: Allows, vocabulary: Model) -> None:
    token = vocabulary.tokenizer.tokenize("<|im_start|>", 9)[0]
    for name in ("<|im_start|>", f"<[{token}]>"):
        source = f'{grammar.HEAD}start: "a" {name} "b"\n'
        assert allows(source, "a<|im_start|>b")
        assert not allows(source, "ab")
    with pytest.raises(InvalidRequest, match="im_begin"):
        asyncio.run(vocabulary.grammars.compile(f'{grammar.HEAD}start: "a" <|im_begin|>\n', "form"))


def nested(levels: int) -> Schema:
    schema: Schema = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def chained(count: int, link: Callable[[Schema], Schema]) -> Schema:
    """Definitions each of which leads to the next."""
    found = {f"d{at}": link({"$ref": f"#/$defs/d{at + 1}"}) for at in range(count)}
    return {"$defs": {**found, f"d{count}": {"type": "string"}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "strin"}, "Invalid type: strin"),
        ({"type": "object", "properties": []}, "properties must be an object"),
        ({"not": {"type": "string"}}, 'Unimplemented keys: ["not"]'),
        ({"type": "array", "uniqueItems": True}, 'Unimplemented keys: ["uniqueItems"]'),
        ({"type": "string", "pattern": "^(?=a)"}, "regex parse error: look-around"),
        ({"type": "string", "pattern": "(" * 100_000}, "regex parse error"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "Unsatisfiable schema"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "Unsatisfiable"),
        ({"$ref": "#"}, "no text of this model's tokens has this form"),
        ({"$ref": "#/$defs/none"}, ""),
        ({"$ref": "http://127.0.0.1:1/schema.json"}, "does not fetch resources"),
        ({"$ref": "file:///etc/passwd"}, "does not fetch resources"),
        ({"minimum": 10**400, "type": "integer"}, ""),
        ({"const": "a" * 1_000_001}, "it is longer than 1000000 bytes"),
        (nested(200), "recursion limit exceeded"),
        (nested(900), ""),
        (
            chained(15_000, lambda ref: {"type": "array", "items": ref}),
            "it takes too much time or memory to compile",
        ),
        (
            {"allOf": [{"type": "integer", "multipleOf": n} for n in (7, 11, 13, 17, 19, 23, 29)]},
            "it takes too much time or memory to compile",
        ),
        (
            {
                "allOf": [
                    {"anyOf": [{"required": [f"{a}{b}"], "type": "object"} for b in "xyz"]}
                    for a in range(14)
                ]
            },
            "too large",
        ),
    ],
    ids=str(0).format,
)
def test_a_schema_that_cannot_be_had_is_refused_with_the_reason(
    vocabulary: Model, schema: Schema, reason: str
) -> None:
    with pytest.raises((InvalidRequest, ValueError)) as refused:
        asyncio.run(vocabulary.grammars.compile(grammar.of_schema(schema), "schema"))
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 500
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "schema",
    [
        chained(1200, lambda ref: {"type": "object", "properties": {"a": ref}, "required": ["a"]}),
        chained(1200, lambda ref: {"allOf": [ref, {"type": "string"}]}),
        chained(10_000, lambda ref: ref),
        chained(30, lambda ref: {"anyOf": [ref, ref]}),
        {"type": "string", "pattern": "^((a{1,1000}){1,1000}){1,1000}$"},
        {"type": "string", "pattern": "^((.*a.{40}b.*)|(.*b.{40}a.*))$"},
        {"type": "string", "pattern": "^(a|b|ab){1,1000000}$"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1_000_000},
        {"type": "string", "minLength": 1_000_000},
        {"const": "a b" * 100_000},
        {"type": "object", "properties": {f"p{number}": {} for number in range(3000)}},
    ],
    ids=str(0).format,
)
def test_a_large_schema_keeps_nothing_busy(vocabulary: Model, schema: Schema) -> None:
    """Its tokens are chosen at random, until it is too complex. The engine's thread has an ordinary
    stack. Without limits, any of these would take minutes or end the process."""
    constraint = asyncio.run(vocabulary.grammars.compile(grammar.of_schema(schema), "schema"))
    source = np.random.default_rng(5)
    row = np.zeros(vocabulary.vocabulary_size, dtype=np.float32)
    began = time.thread_time()
    try:
        for _ in range(50):
            row[:] = 0
            constraint.restrict(row)
            constraint.accept(int(source.choice(np.flatnonzero(row == 0))))
            if constraint.is_complete:
                break
    except InvalidRequest:
        pass
    assert time.thread_time() - began < 5


def test_the_reason_names_the_field(vocabulary: Model) -> None:
    with pytest.raises(InvalidRequest) as refused:
        asyncio.run(
            vocabulary.grammars.compile(grammar.of_schema({"type": "x"}), "response_format")
        )
    [error] = refused.value.details["errors"]
    assert error["field"] == "response_format"
    assert "Invalid type: x" in error["message"]


def test_the_process_beside_a_worker_comes_with_the_first_form_and_goes_with_the_model(
    tmp_path: Path,
) -> None:
    def checks() -> list[psutil.Process]:
        children = psutil.Process().children()
        alive = (each for each in children if each.status() != psutil.STATUS_ZOMBIE)
        return [each for each in alive if "grammar_check" in " ".join(each.cmdline())]

    before = checks()
    model = Model(write_model(tmp_path / "m.gguf", 1, 64, 64), "cpu", 0, True, lambda _: True)
    assert checks() == before
    asyncio.run(model.grammars.compile(grammar.any_object(), "form"))
    [added] = [each for each in checks() if each not in before]
    asyncio.run(model.grammars.compile(grammar.of_schema({"type": "null"}), "form"))
    assert added.is_running()
    model.free()
    assert not added.is_running()


def test_a_process_that_something_else_has_ended_is_replaced_and_blames_no_form(
    tmp_path: Path,
) -> None:
    model = Model(write_model(tmp_path / "m.gguf", 1, 64, 64), "cpu", 0, True, lambda _: True)
    before = psutil.Process().children()
    asyncio.run(model.grammars.compile(grammar.any_object(), "form"))
    [added] = [each for each in psutil.Process().children() if each not in before]
    added.kill()
    psutil.wait_procs([added], timeout=5)
    asyncio.run(model.grammars.compile(grammar.of_schema({"type": "null"}), "form"))
    model.free()


def test_a_process_that_a_form_has_ended_is_replaced(vocabulary: Model) -> None:
    with pytest.raises(InvalidRequest, match="too much time or memory"):
        source = grammar.of_schema(chained(15_001, lambda ref: {"type": "array", "items": ref}))
        asyncio.run(vocabulary.grammars.compile(source, "form"))
    null = grammar.of_schema({"type": "null", "title": "not asked before"})
    assert not asyncio.run(vocabulary.grammars.compile(null, "form")).is_complete


def test_a_form_whose_process_something_else_has_ended_can_be_had_when_it_is_asked_again(
    tmp_path: Path,
) -> None:
    async def ask() -> None:
        before = psutil.Process().children()
        await model.grammars.check(grammar.any_object(), "form")
        [added] = [each for each in psutil.Process().children() if each not in before]
        added.suspend()
        null = grammar.of_schema({"type": "null"})
        asking = asyncio.create_task(model.grammars.check(null, "form"))
        await asyncio.sleep(0.05)
        added.kill()
        with pytest.raises(InvalidRequest, match="too much time or memory"):
            await asking
        await model.grammars.check(null, "form")

    model = Model(write_model(tmp_path / "m.gguf", 1, 64, 64), "cpu", 0, True, lambda _: True)
    asyncio.run(ask())
    model.free()
