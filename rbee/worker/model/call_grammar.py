"""Grammars that hold an answer to calls of functions, in the form of the model's family.

A grammar is text in llguidance's Lark dialect: see `rbee.worker.model.grammar`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from rbee.contract.tasks import Function
from rbee.worker.model.grammar import HEAD, json_rule
from rbee.worker.model.tool_formats.families import CallShape, CallTags, Reasoning

# The id of a control token, by how it is spelled; None if there is none that is spelled so.
ControlToken: TypeAlias = Callable[[str], int | None]

_MARK = re.compile(r"<[^<>\s]+>|\[[A-Z_]+\]")
_ANY = "(?s:.*)"
_GAP = r"/\n{0,2}/"
_UNSAFE = re.compile(r"[<>\"\n]")
_SAYS_NOTHING = {"type", "title", "description", "default", "examples"}
_OBJECT_SAYS = {*_SAYS_NOTHING, "properties", "required", "additionalProperties", "$schema"}
_EMPTY_SAYS = _OBJECT_SAYS - {"additionalProperties"}
_TEXT_SAYS = {*_SAYS_NOTHING, "enum"}
_KINDS = ("string", "integer", "number", "boolean", "array", "object", "null")
_NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}


class Wanted(msgspec.Struct, frozen=True):
    """What a grammar allows: calls of `functions`, one or `many`. With `forced` nothing else;
    otherwise also text, or JSON after the schema `answer`, with `before_answer` in front of it.
    Reasoning may come first, and the answer begins in it if it is `inside`. `marks` and `bare` are
    all that a call of the family can begin with: what is text must not."""

    functions: Sequence[Function]
    shape: CallShape
    many: bool
    forced: bool
    answer: Mapping[str, Any] | None = None
    before_answer: str = ""
    reasoning: Reasoning | None = None
    inside: bool = False
    marks: Sequence[str] = ()
    bare: str = ""


def arguments_schema(function: Function) -> Mapping[str, Any]:
    """A function without parameters takes no arguments, however that is written."""
    schema = function.parameters
    empty = schema.get("properties") == {} and not schema.get("required")
    return _NOTHING if not schema or (empty and schema.keys() <= _EMPTY_SAYS) else schema


def grammar_of(wanted: Wanted, control: ControlToken) -> str:
    """The grammar. Raises ValueError with a reason if there is none."""
    return _Grammar(wanted, control).text()


class _Grammar:
    def __init__(self, wanted: Wanted, control: ControlToken) -> None:
        self._wanted = wanted
        self._control = control
        self._rules: list[str] = []

    def text(self) -> str:
        wanted = self._wanted
        if wanted.forced:
            start = f"{self._thought()} {self._calls()}"
        elif wanted.answer is not None:
            start = f"{self._thought()} ({' | '.join(self._calls_or_answer(wanted.answer))})"
        else:
            start = self._calls_or_text()
        return f"{HEAD}start: {start}\n" + "\n".join(self._rules) + "\n"

    def _calls(self, come: str = "") -> str:
        """The section of calls, of which what has `come` is left out."""
        wanted, shape = self._wanted, self._wanted.shape
        rest = "" if shape.opens else come
        calls = [self._call(*each, rest) for each in enumerate(wanted.functions)]
        self._rules.append(f"call: {' | '.join(calls)}")
        # What has come stands before each call then.
        more = f"({self._written(shape.separates)} call)*" if wanted.many and not rest else ""
        opens = self._written(shape.opens.removeprefix(come))
        return f"{opens} call {more} {self._written(shape.closes)}"

    def _call(self, number: int, function: Function, come: str) -> str:
        shape, schema = self._wanted.shape, arguments_schema(function)
        before, between, after = shape.before, shape.between, shape.after
        arguments = f"arguments_{number}"
        tagged = None if shape.tags is None else tagged_parameters(schema)
        if shape.tags is not None and tagged is not None:
            before, between, after = shape.tags.before, shape.tags.after_name, shape.tags.after
            self._rules.append(f"{arguments}: {self._tagged(arguments, tagged, shape.tags)}")
        else:
            self._rules.append(f"{arguments}: {json_rule(schema)}")
        begins = self._written(before.removeprefix(come) + function.name + between)
        return f"{begins} {arguments} {self._written(after)}"

    def _tagged(self, name: str, parameters: Sequence[Parameter], tags: CallTags) -> str:
        """Arguments between tags, in the order of the schema."""
        parts = []
        for number, parameter in enumerate(parameters):
            value, end = f"{name}_{number}", self._written(tags.end)
            if parameter.texts:
                texts = " | ".join(map(json.dumps, parameter.texts))
                self._rules.append(f"{value}: ({texts}) {end}")
            elif parameter.texts is None:
                self._rules.append(f"{value}: {value}_json {end}")
                self._rules.append(f"{value}_json: {json_rule(parameter.schema)}")
            else:
                self._rules.append(self._until(value, end))
            is_text = parameter.texts is not None
            mark = tags.text if is_text and tags.text else tags.value
            head = self._written(tags.key + parameter.name + mark)
            parts.append(f"({head} {value}){'' if parameter.required else '?'}")
        return " ".join(parts) or '""'

    def _until(self, rule: str, end: str) -> str:
        """The rule for any text up to `end`."""
        return f"{rule}{'' if end.startswith('<') else '[lazy]'}: /{_ANY}/ {end}"

    def _calls_or_answer(self, answer: Mapping[str, Any]) -> Iterator[str]:
        wanted = self._wanted
        self._rules.append(f"answer: {json_rule(answer)}")
        yield f"{self._written(wanted.before_answer)} answer"
        if not wanted.shape.before.startswith("{"):
            yield from [self._calls()] if wanted.functions else []
        else:
            # Both are JSON: they must have the same lexemes.
            yield from (json_rule(self._as_schema(each)) for each in wanted.functions)

    def _as_schema(self, function: Function) -> dict[str, Any]:
        """The schema of a call that is nothing but JSON."""
        shape = self._wanted.shape
        call = json.loads(f"{shape.before}{function.name}{shape.between}null{shape.after}")

        def schema(value: Any) -> dict[str, Any]:
            if value is None:
                return dict(arguments_schema(function))
            if isinstance(value, str):
                return {"const": value}
            properties = {name: schema(each) for name, each in value.items()}
            return {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            }

        return schema(call)

    def _thought(self) -> str:
        """Reasoning, if the model has it."""
        marks = self._wanted.reasoning
        if marks is None:
            return ""
        self._rules.append(self._until("thought", self._written(marks.closes)))
        if self._wanted.inside:
            return f"thought {_GAP}"
        return f"({self._written(marks.opens)} thought {_GAP})?"

    def _calls_or_text(self) -> str:
        """Text is everything in which no call begins."""
        wanted, shape, marks = self._wanted, self._wanted.shape, self._wanted.reasoning
        begins = shape.opens + shape.before
        mark = shape.trigger or (found[0] if (found := _MARK.match(begins)) else "")
        controls = {self._control(each) for each in shape.passes}
        if marks is not None:
            controls |= {self._control(marks.opens), self._control(marks.closes)}
        words = " | ".join(f"<[{token}]>" for token in sorted(filter(None, controls)))
        # Where a call may stand without a mark, reasoning is told apart from text.
        thought = self._thought() if wanted.bare else ""
        if not mark:
            self._rules.append(f"TEXT: /{_ANY}/{self._but(wanted.marks)}")
            return f"{thought} ({self._calls()} | TEXT)?"
        self._rules.append(f"TEXT: /{_ANY}/{self._but({mark, *wanted.marks})}")
        # Two texts never meet: together they could have what neither has alone.
        words = f"(TEXT? ({words}))*" if words else ""
        if self._control(mark) is not None:
            section = f"{words} TEXT? {self._calls()}"
        else:
            others = set(wanted.marks) - {mark}
            self._rules.append(f"BEFORE: /{_ANY}{_regex(mark)}/{self._but(others)}")
            self._rules.append("before[lazy]: BEFORE")
            come = begins.partition(mark)[0] + mark
            section = f"{words} (before | {json.dumps(mark)}) {self._calls(come)}"
        if wanted.many:
            return f"{thought} ({section})* {words} TEXT?"
        return f"{thought} ({section} | {words} TEXT?)"

    def _but(self, marks: Collection[str]) -> str:
        """Except for texts with one of the marks, or with the beginning of a call or of reasoning
        where an answer begins."""
        wanted = self._wanted
        wrong = [f"{_ANY}{_regex(mark)}{_ANY}" for mark in sorted(marks)]
        if wanted.bare:
            wrong.append(f"\\s*[{re.escape(wanted.bare)}]{_ANY}")
        if wanted.bare and wanted.reasoning is not None:
            wrong.append(f"\\s*{_regex(wanted.reasoning.opens)}{_ANY}")
        return "".join(f" & ~/{each}/" for each in wrong)

    def _written(self, text: str) -> str:
        """A text in a rule. Control tokens in it are tokens, not text."""
        parts, plain = [], ""
        for each in re.split(f"({_MARK.pattern})", text):
            token = self._control(each) if _MARK.fullmatch(each) else None
            if token is None:
                plain += each
                continue
            parts += [json.dumps(plain, ensure_ascii=False)] if plain else []
            parts.append(f"<[{token}]>")
            plain = ""
        return " ".join([*parts, json.dumps(plain, ensure_ascii=False)] if plain else parts)


class Parameter(msgspec.Struct, frozen=True):
    """`texts` is None for a parameter that is not a text, and empty for one that is any text."""

    name: str
    schema: Mapping[str, Any]
    required: bool
    texts: Sequence[str] | None


def tagged_parameters(schema: Mapping[str, Any]) -> list[Parameter] | None:
    """The parameters of an object whose schema says nothing that tags can't keep; otherwise None.
    A text between tags has no quotes: nothing but its whole can be held."""
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not schema.keys() <= _OBJECT_SAYS or schema.get("type") != "object":
        return None
    if not isinstance(properties, dict) or not isinstance(required, list):
        return None
    found = []
    for name, each in properties.items():
        kind = each.get("type") if isinstance(each, dict) else None
        texts = each.get("enum", []) if kind == "string" else None
        if kind not in _KINDS or _UNSAFE.search(name) or _refers(each):
            return None
        if texts is not None and not (each.keys() <= _TEXT_SAYS and all(map(_is_safe, texts))):
            return None
        found.append(Parameter(name, each, name in required, texts))
    return found if set(required) <= set(properties) else None


def _refers(schema: object) -> bool:
    """Whether it may lead out of itself."""
    try:
        return "$ref" in json.dumps(schema)
    except RecursionError:
        return True


def _is_safe(text: object) -> bool:
    return isinstance(text, str) and text.strip() == text != "" and not _UNSAFE.search(text)


def _regex(text: str) -> str:
    """A text in a regular expression between slashes."""
    return re.escape(text).replace("/", r"\/")
