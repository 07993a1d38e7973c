"""Calls between tags, with a tag for each argument.

    <tool_call>
    <function=add>
    <parameter=a>
    1
    </parameter>
    </function>
    </tool_call>                                                        Qwen3-Coder, Seed

    <｜DSML｜invoke name="add">
    <｜DSML｜parameter name="a" string="false">1</｜DSML｜parameter>
    </｜DSML｜invoke>                                                    DeepSeek V3.2

    <tool_call>add
    <arg_key>a</arg_key>
    <arg_value>1</arg_value>
    </tool_call>                                                        GLM 4.5

The arguments become JSON. Text stays text if the function's schema asks for a string; otherwise it
is JSON or Python, if it can be read as one of them.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from rbee.worker.model.tool_formats.calls import Calls, collect, dumps
from rbee.worker.model.tool_formats.source import Chunks, Source, Steps

_TYPED: dict[str, Any] = {"true": {"type": "string"}, "false": {}}


class Tagged(msgspec.Struct, frozen=True):
    """How a family's tags look. `head` stands before a function's name unless the mark was that
    already, and one of `after_name` behind it. With `peek` those are not tags that belong to the
    name: the first argument, or the end, begins there. Behind `is_text` an argument's tag may say
    whether it is a text."""

    head: str
    after_name: tuple[str, ...]
    key: str
    after_key: str
    value: str
    after_value: str
    end: str
    peek: bool = False
    is_text: str = ""
    closes: tuple[str, ...] = ()

    def __call__(self, source: Source, calls: Calls, mark: str) -> Steps[bool]:
        found = False
        while True:
            end = source.at
            if mark != self.head or found:
                yield from source.skip()
                if not self.head and found:
                    break
                if not (yield from source.starts(self.head)):
                    break
            if not (yield from self._function(source, calls)):
                break
            found = True
        source.at = end
        if found:
            yield from source.skip()
            if not (yield from source.one_of(self.closes)):
                source.at = end
        return found

    def _function(self, source: Source, calls: Calls) -> Steps[bool]:
        start = source.at
        name = yield from source.until(self.after_name)
        if name is None or not calls.knows(name.strip()):
            return False
        if self.peek:
            source.at = start + len(name)
        name = name.strip()
        yield calls.begin(name)
        yield calls.part("{")
        count = 0
        while True:
            yield from source.skip()
            if not (yield from source.starts(self.key)):
                break
            key = yield from source.until((self.after_key,))
            if key is None:
                break
            if self.value:
                yield from source.skip()
                yield from source.starts(self.value)
            key, _, text = key.partition(self.is_text) if self.is_text else (key, "", "")
            key = key.strip()
            schema = _TYPED.get(text, calls.properties(name).get(key))
            yield calls.part((", " if count else "") + dumps(key) + ": ")
            yield from calls.stream(self._value(source, schema))
            count += 1
        yield calls.part("}")
        yield calls.end()
        yield from source.starts(self.end)
        return True

    def _value(self, source: Source, schema: Any) -> Chunks[Any]:
        """An argument as JSON. One line break on each side belongs to the tags."""
        yield from source.starts("\n")
        chunks = source.chunks(("\n" + self.after_value, self.after_value))
        if isinstance(schema, dict) and schema.get("type") == "string":
            yield '"'
            for chunk in chunks:
                yield None if chunk is None else dumps(chunk)[1:-1]
            yield '"'
        else:
            yield as_json((yield from collect(chunks)), schema)


def as_json(text: str, schema: Any) -> str:
    """A value that may be JSON, or Python, or text. Where the schema allows a string too, only
    what it names beside is not taken as one."""
    bare = text.strip()
    types = schema.get("type") if isinstance(schema, dict) else None
    if isinstance(types, Sequence) and "string" in types and not _is_one_of(bare, types):
        return dumps(text)
    for read in (json.loads, ast.literal_eval):
        try:
            return dumps(read(bare))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return dumps(text)


def _is_one_of(text: str, types: Sequence[str]) -> bool:
    kinds: dict[str, tuple[type, ...]] = {
        "null": (type(None),),
        "boolean": (bool,),
        "integer": (int,),
        "number": (int, float),
        "array": (list,),
        "object": (dict,),
    }
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return any(type(found) in kinds.get(name, ()) for name in types if isinstance(name, str))


FUNCTION_TAGS = Tagged(
    "<function=",
    (">",),
    "<parameter=",
    ">",
    "",
    "</parameter>",
    "</function>",
    closes=("</tool_call>", "</seed:tool_call>"),
)
INVOKE_TAGS = Tagged(
    '<invoke name="',
    ('">',),
    '<parameter name="',
    '">',
    "",
    "</parameter>",
    "</invoke>",
    closes=("</minimax:tool_call>",),
)
DSML_TAGS = Tagged(
    '<｜DSML｜invoke name="',
    ('">',),
    '<｜DSML｜parameter name="',
    '">',
    "",
    "</｜DSML｜parameter>",
    "</｜DSML｜invoke>",
    is_text='" string="',
    closes=("</｜DSML｜function_calls>",),
)
ARGUMENT_TAGS = Tagged(
    "",
    ("<arg_key>", "</tool_call>"),
    "<arg_key>",
    "</arg_key>",
    "<arg_value>",
    "</arg_value>",
    "",
    peek=True,
    closes=("</tool_call>",),
)
