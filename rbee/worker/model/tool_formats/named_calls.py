"""Calls as a name and then the arguments as JSON.

[TOOL_CALLS]add[ARGS]{"a": 1}                                       Mistral, since 2025
<｜tool▁call▁begin｜>add<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜>     DeepSeek V3.1
<|tool_call_begin|>functions.add:0<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|>   Kimi K2
<function=add>{"a": 1}</function>                                   Llama 3.1, Functionary
"""

from __future__ import annotations

import re

import msgspec

from rbee.worker.model.tool_formats.calls import Calls
from rbee.worker.model.tool_formats.json_calls import value
from rbee.worker.model.tool_formats.source import Source, Steps

_NUMBERED = re.compile(r"functions\.(.+):\d+")


class Named(msgspec.Struct, frozen=True):
    """One of `after_name` stands behind the name, or behind `id_mark` and an id that follow it.
    `kind` may stand in the name's place, and the name then behind it, up to the end of the line."""

    after_name: tuple[str, ...]
    closes: tuple[str, ...] = ()
    id_mark: str = ""
    kind: str = ""

    def __call__(self, source: Source, calls: Calls, mark: str) -> Steps[bool]:
        head = yield from source.until(self.after_name)
        if head is not None and self.kind and head.strip() == self.kind:
            head = yield from source.until(("\n",))
        if head is None:
            return False
        name, id = head.strip(), None
        if self.id_mark and self.id_mark in name:
            name, id = name.split(self.id_mark, 1)
        elif numbered := _NUMBERED.fullmatch(name):
            name, id = numbered[1], name
        if not calls.knows(name):
            return False
        yield calls.begin(name, id)
        yield from source.skip()
        if (yield from source.starts("```json")):
            yield from source.skip()
        yield from calls.stream(value(source, self.closes))
        yield calls.end()
        end = source.at
        yield from source.skip()
        if (yield from source.starts("```")):
            end = source.at
            yield from source.skip()
        if not (yield from source.one_of(self.closes)):
            source.at = end
        return True
