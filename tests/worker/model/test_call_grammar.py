"""Answers that are held to calls by a grammar, and read again by the parser of the same family.

The model here is a die: it takes any byte or control token that the grammar allows.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import jsonschema
import msgspec
import pytest
from llguidance import LLMatcher, LLTokenizer

from rbee.contract.tasks import Function, Tool
from rbee.worker.model.call_grammar import Wanted, arguments_schema, grammar_of
from rbee.worker.model.tool_formats.families import (
    FAMILIES,
    GENERIC,
    HARMONY,
    HARMONY_REASONING,
    Family,
    Reasoning,
)
from rbee.worker.model.tool_formats.parser import Form, Parser

DAY = {
    "type": "object",
    "properties": {
        "day": {"enum": ["Monday", "{", 'a"b']},
        "hours": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
    },
    "required": ["day"],
    "additionalProperties": False,
}
PLAIN: dict[str, Any] = {
    "type": "object",
    "properties": {
        "unit": {"type": "string", "enum": ["°C", "°F"]},
        "days": {"type": "array", "items": {"type": "integer", "maximum": 9}, "maxItems": 2},
    },
    "required": ["unit"],
    "additionalProperties": False,
}
NAME = {"name": {"type": "string", "description": "Any."}}
FUNCTIONS = [
    Function("weather", parameters=DAY),
    Function("plain", parameters=PLAIN),
    Function("now"),
]
TOOLS = [Tool(function) for function in FUNCTIONS]
END = 256
# Sometimes the marks are control tokens of a model, sometimes they are text to it.
CONTROLS = [
    "<|python_tag|>", "[TOOL_CALLS]", "[ARGS]", "<tool_call>", "</tool_call>", "<|tool_call|>",
    "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>",
    "<|START_ACTION|>", "<|END_ACTION|>", "<think>", "</think>", "<|end|>", "<|tool_call>",
]  # fmt: skip
NAMES = [family.name for family in (*FAMILIES, GENERIC)]
Said = list[tuple[str, str]]


class Die:
    """Writes what a grammar allows, for at most so many tokens."""

    is_tokenizer_wrapper = True
    bos_token_id = None
    special_token_ids = ()
    eos_token_id = END

    def __init__(self, controls: Sequence[str]) -> None:
        self.controls = list(controls)
        self.tokens = [bytes([byte]) for byte in range(256)]
        self.tokens += [b"\xff" + text.encode() for text in ("<end>", *controls)]
        self._tokenizer = LLTokenizer(self, eos_token=[END])  # type: ignore[arg-type]

    def __call__(self, text: str) -> list[int]:
        return []

    def control(self, text: str) -> int | None:
        return END + 1 + self.controls.index(text) if text in self.controls else None

    def matcher(self, wanted: Wanted) -> LLMatcher:
        found = LLMatcher(self._tokenizer, grammar_of(wanted, self.control), log_level=0)
        assert not found.is_error(), found.get_error()
        return found

    def throw(self, wanted: Wanted, source: random.Random, most: int = 2000) -> list[int]:
        matcher, tokens = self.matcher(wanted), list[int]()
        while not matcher.is_stopped() and len(tokens) < most:
            mask = matcher.compute_bitmask()
            allowed = [t for t in range(len(self.tokens)) if mask[t // 8] >> t % 8 & 1]
            if END in allowed and source.random() < 0.5:
                break
            allowed = [token for token in allowed if token != END]
            plain = [token for token in allowed if token < 128 or token > END]
            tokens.append(source.choice(plain or allowed))
            matcher.consume_token(tokens[-1])
        return tokens

    def allows(self, wanted: Wanted, *parts: str) -> bool:
        """Whether an answer may be so, and end there."""
        matcher = self.matcher(wanted)
        tokens = list[int]()
        for part in parts:
            control = self.control(part)
            tokens += list(part.encode()) if control is None else [control]
        return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()

    def read(self, form: Form, tokens: Sequence[int]) -> Said:
        parser, said, text = Parser(form), Said(), b""
        pieces = []
        for token in tokens:
            if token < END:
                text += self.tokens[token]
            else:
                pieces += parser.feed(text.decode()) if text else []
                pieces += parser.feed(self.controls[token - END - 1], control=True)
                text = b""
        for piece in [*pieces, *parser.feed(text.decode()), *parser.finish()]:
            if piece.call is not None and piece.call.name:
                said.append((piece.call.name, piece.text))
            elif said and (piece.call or said[-1][0] == piece.channel):
                said[-1] = (said[-1][0], said[-1][1] + piece.text)
            else:
                said.append((piece.channel, piece.text))
        return said


def wanted(family: Family, **more: Any) -> Wanted:
    how = {"many": True, "forced": True, "marks": family.marks, "bare": family.bare, **more}
    return Wanted(FUNCTIONS, family.shape, **how)


def by_name(name: str) -> Family:
    return next(family for family in (*FAMILIES, GENERIC) if family.name == name)


def check(said: Said) -> None:
    """All of it are calls with arguments after the schemas."""
    parameters = {function.name: arguments_schema(function) for function in FUNCTIONS}
    for name, arguments in said:
        assert name in parameters, said
        jsonschema.validate(json.loads(arguments), parameters[name])


@pytest.mark.parametrize("controls", [(), CONTROLS], ids=["text", "tokens"])
@pytest.mark.parametrize("name", NAMES)
def test_a_forced_answer_is_calls_that_the_parser_reads(name: str, controls: list[str]) -> None:
    family, die = by_name(name), Die(controls)
    for seed in range(4):
        tokens = die.throw(wanted(family), random.Random(seed))
        said = die.read(Form(family, tools=TOOLS), tokens)
        assert said, bytes(token for token in tokens if token < END)
        check(said)


@pytest.mark.parametrize("name", NAMES)
def test_one_call_is_one(name: str) -> None:
    die = Die(())
    for seed in range(3):
        tokens = die.throw(wanted(by_name(name), many=False), random.Random(seed))
        said = die.read(Form(by_name(name), tools=TOOLS), tokens)
        assert len(said) == 1
        check(said)


@pytest.mark.parametrize(
    ("parameters", "closed"),
    [
        ({}, True),
        ({"type": "object", "properties": {}}, True),
        ({"type": "object", "properties": {}, "required": [], "title": "Nothing"}, True),
        ({"type": "object"}, False),
        ({"type": "object", "properties": {}, "additionalProperties": True}, False),
        ({"type": "object", "properties": {}, "required": ["a"]}, False),
        ({"properties": {}, "anyOf": [{"type": "object"}]}, False),
    ],
)
def test_a_function_without_parameters_takes_no_arguments(
    parameters: dict[str, Any], closed: bool
) -> None:
    schema = arguments_schema(Function("now", parameters=parameters))
    assert (schema.get("additionalProperties") is False) == closed
    assert closed or schema == parameters


@pytest.mark.parametrize("name", NAMES)
def test_calls_that_come_amid_text_are_held_too(name: str) -> None:
    """Text goes on until a mark, whatever the die shows; what follows that is a call."""
    family, die = by_name(name), Die(())
    shape = family.shape
    asked = wanted(family, forced=False)
    assert die.allows(asked, "Just text.")
    begins, ends = f"{shape.opens}{shape.before}", f"{shape.after}{shape.closes}"
    text = "" if begins.startswith("{") else "Well. "
    call = f'{text}{begins}weather{shape.between}{{"day": "Monday"}}{ends}'
    assert die.allows(asked, call)
    assert not die.allows(asked, call.replace("Monday", "Sunday"))
    assert not die.allows(asked, call.replace("weather", "rm"))
    said = die.read(Form(family, tools=TOOLS), list(call.encode()))
    assert said[-1] == ("weather", '{"day": "Monday"}')


@pytest.mark.parametrize("controls", [(), ["<think>", "</think>"]], ids=["text", "tokens"])
@pytest.mark.parametrize("forced", [True, False])
@pytest.mark.parametrize("name", ["hermes", "llama-3", "generic"])
def test_reasoning_comes_before_calls(name: str, forced: bool, controls: list[str]) -> None:
    die, marks = Die(controls), Reasoning("<think>", "</think>")
    family = by_name(name)
    shape = family.shape
    call = f'{shape.before}weather{shape.between}{{"day": "Monday"}}{shape.after}'
    asked = wanted(family, reasoning=marks, forced=forced)
    wrong = call.replace("Monday", "Sunday")
    for answer, fits in ((call, True), (wrong, False)):
        assert die.allows(asked, "<think>", "Hm. {", "</think>", f"\n\n{answer}") == fits
        assert die.allows(asked, answer) == fits
    inside = wanted(family, reasoning=marks, forced=forced, inside=True)
    assert die.allows(inside, "Hm. {", "</think>", f"\n\n{call}")
    assert not die.allows(inside, "Hm. {", "</think>", f"\n\n{wrong}")
    assert die.allows(asked, "<think>", "Hm.", "</think>", "Text.") == (not forced)


@pytest.mark.parametrize("controls", [(), ["<|end|>"]], ids=["text", "tokens"])
def test_gpt_oss_is_held_in_its_channels(controls: list[str]) -> None:
    die, start = Die(controls), "<|start|>assistant"
    forced = Wanted(FUNCTIONS, HARMONY, many=False, forced=True, reasoning=HARMONY_REASONING)
    free = Wanted(FUNCTIONS, HARMONY, many=True, forced=False)
    head = "<|channel|>commentary to=functions.weather <|constrain|>json<|message|>"
    thought = ("<|channel|>analysis<|message|>Hm.", "<|end|>", start)
    for asked in (forced, free):
        assert die.allows(asked, f'{head}{{"day": "Monday"}}')
        assert die.allows(asked, *thought, f'{head}{{"day": "Monday"}}')
        assert not die.allows(asked, *thought, f'{head}{{"day": "Sunday"}}')
    final = (*thought, "<|channel|>final<|message|>Yes.")
    assert die.allows(free, *final)
    assert not die.allows(forced, *final)


@pytest.mark.parametrize("name", ["generic", "llama-3", "hermes", "mistral-named"])
def test_json_may_come_in_the_place_of_calls(name: str) -> None:
    shape, die = by_name(name).shape, Die(())
    asked = wanted(by_name(name), forced=False, answer={"type": "object", "required": ["a"]})
    call = f'{shape.before}weather{shape.between}{{"day": "Monday"}}{shape.after}'
    assert die.allows(asked, '{"a": 1}')
    assert die.allows(asked, call)
    assert not die.allows(asked, call.replace("Monday", "Sunday"))
    assert not die.allows(asked, "text")


@pytest.mark.parametrize("controls", [(), ["<think>", "</think>", "<|end|>"]])
def test_reasoning_comes_before_json(controls: list[str]) -> None:
    die, marks = Die(controls), Reasoning("<think>", "</think>")
    schema = {"type": "object", "required": ["a"]}
    asked = Wanted([], GENERIC.shape, many=True, forced=False, answer=schema, reasoning=marks)
    assert die.allows(asked, '{"a": 1}')
    assert die.allows(asked, "<think>", "Hm", "</think>", '\n\n{"a": 1}')
    assert not die.allows(asked, "<think>", "Hm", "</think>", "\n\na")
    inside = msgspec.structs.replace(asked, inside=True)
    assert die.allows(inside, "Hm", "</think>", '{"a": 1}')
    assert not die.allows(inside, '{"a": 1}')
    final = "<|channel|>final<|message|>"
    asked = msgspec.structs.replace(asked, reasoning=HARMONY_REASONING, before_answer=final)
    thought = ("<|channel|>analysis<|message|>Hm.", "<|end|>", "<|start|>assistant")
    assert die.allows(asked, *thought, f'{final}{{"a": 1}}')
    assert not die.allows(asked, *thought, f"{final}a")


@pytest.mark.parametrize(
    ("name", "call"),
    [
        (
            "qwen3-coder",
            '<tool_call>\n<function=plain>\n<parameter=name>\nA </b> "B"\n\nC\n</parameter>\n'
            "<parameter=unit>\n°C\n</parameter>\n<parameter=days>\n[1, 2]\n</parameter>\n"
            "</function>\n</tool_call>",
        ),
        (
            "glm",
            '<tool_call>plain\n<arg_key>name</arg_key>\n<arg_value>A </b> "B"\n\nC</arg_value>\n'
            "<arg_key>unit</arg_key>\n<arg_value>°C</arg_value>\n"
            "<arg_key>days</arg_key>\n<arg_value>[1, 2]</arg_value>\n</tool_call>",
        ),
        (
            "minimax",
            '<minimax:tool_call>\n<invoke name="plain">\n<parameter name="name">A </b> "B"\n\nC'
            '</parameter>\n<parameter name="unit">°C</parameter>\n<parameter name="days">[1, 2]'
            "</parameter>\n</invoke>\n</minimax:tool_call>",
        ),
    ],
)
@pytest.mark.parametrize("forced", [True, False])
def test_tags_are_held_where_the_schema_allows_them(name: str, call: str, forced: bool) -> None:
    family, die = by_name(name), Die(())
    properties = {**NAME, **PLAIN["properties"]}
    functions = [*FUNCTIONS[::2], Function("plain", parameters={**PLAIN, "properties": properties})]
    asked = msgspec.structs.replace(wanted(family, forced=forced), functions=functions)
    assert die.allows(asked, call)
    assert not die.allows(asked, call.replace("°C", "K"))
    assert not die.allows(asked, call.replace("[1, 2]", "[1, 20]"))
    assert not die.allows(asked, call.replace("plain", "weather"))
    tools = [Tool(function) for function in functions]
    [(called, arguments)] = die.read(Form(family, tools=tools), list(call.encode()))
    said = {"name": 'A </b> "B"\n\nC', "unit": "°C", "days": [1, 2]}
    assert (called, json.loads(arguments)) == ("plain", said)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("qwen3-coder", "Well. <function=now></function>"),
        ("llama-3", '  {"name": "now", "parameters": {"a": 1}}'),
        ("llama-3", "[now(a=1)]"),
        ("llama-3", '<|python_tag|>{"name": "now", "parameters": {"a": 1}}'),
        ("generic", '{"name": "now", "arguments": {"a": 1}}'),
        ("generic", 'Well. {"tool_call": {"name": "now", "arguments": {"a": 1}}}'),
        ("generic", '{"tool_calls": [{"name": "now", "arguments": {"a": 1}}]}'),
        ("generic", '```json\n{"name": "now", "arguments": {"a": 1}}\n```'),
        ("granite", '<tool_call>{"name": "now", "arguments": {"a": 1}}</tool_call>'),
        ("hermes", '<tool_call> {"name": "now", "arguments": {"a": 1}}</tool_call>'),
        ("hermes", 'a<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call> <tool_call>'),
    ],
)
def test_no_call_comes_by_another_way_where_arguments_are_held(name: str, text: str) -> None:
    for reasoning in (None, Reasoning("<think>", "</think>")):
        assert not Die(()).allows(wanted(by_name(name), forced=False, reasoning=reasoning), text)
    thought = wanted(by_name(name), forced=False, reasoning=Reasoning("<think>", "</think>"))
    assert not Die(()).allows(thought, f"<think>Hm</think>{text}")
    assert Die(()).allows(thought, "<think>Hm</think>Well, {that} [is] no call.")
