"""Calls as JSON: an object with a name and arguments, or a list of such objects.

    <tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>       Hermes, Qwen, Granite 4
    [TOOL_CALLS][{"name": "add", "arguments": {"a": 1}}]                Mistral
    {"name": "add", "parameters": {"a": 1}}                             Llama 3
    {"tool_call": {"name": "add", "arguments": {"a": 1}}}               where a template has no form

Models write it in many ways: with other keys and in another order, arguments as a text that is
JSON, a brace too many or too few.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence

from rbee.worker.model.tool_formats.calls import Calls, Reader, collect, dumps, is_text
from rbee.worker.model.tool_formats.source import BLANKS, Chunks, Source, Steps

_NAME = ("name", "tool_name", "function", "function_name")
_ARGUMENTS = ("arguments", "parameters", "args")
_ID = ("id", "tool_call_id", "call_id")
_INNER = ("function", "tool_call", "tool_calls", "function_call")
_DEEPEST = 2
_KEYS = {*_NAME, *_ARGUMENTS, *_ID, *_INNER, "type", "index"}


def json_reader(closes: Sequence[str] = (), depth: int = 0) -> Reader:
    """Reads objects or a list of them, and the mark after them, if it comes. `depth` is in how many
    other objects they stand."""
    closes = tuple(closes)

    def read(source: Source, calls: Calls, mark: str) -> Steps[bool]:
        yield from source.skip()
        in_list = yield from source.starts("[")
        found = False
        while True:
            end = source.at
            if (yield from source.skip(BLANKS + ",;" if found else BLANKS)) != "{":
                break
            if not (yield from _object(source, calls, closes, depth)):
                break
            found = True
        source.at = end
        if found:
            yield from _close(source, closes, in_list)
        return found

    return read


def _close(source: Source, closes: Sequence[str], in_list: bool) -> Generator[None, None, None]:
    """Read what ends the calls, and brackets too many in front of it."""
    end = source.at
    if in_list and (yield from source.skip()) == "]":
        source.at = end = source.at + 1
    last = yield from source.skip(BLANKS + "]}")
    if last and not (yield from source.one_of(closes)):
        source.at = end


def _object(source: Source, calls: Calls, stops: Sequence[str], depth: int) -> Steps[bool]:
    """One call. Once its name has been shown, whatever follows belongs to a call."""
    yield from source.starts("{")
    name: str | None = None
    id: str | None = None
    early: str | None = None
    while True:
        if (yield from source.skip(BLANKS + ",")) == "}":
            source.at += 1
            break
        key = yield from _string(source)
        if key is None or (name is None and key not in _KEYS):
            break
        if (yield from source.skip()) != ":":
            break
        source.at += 1
        begins = yield from source.skip()
        if key in _INNER and begins in ("{", "["):
            if depth == _DEEPEST:
                return False
            found = yield from json_reader(stops, depth + 1)(source, calls, "")
            if found and (yield from source.skip()) == "}":
                source.at += 1
            return found
        if key in _NAME and begins == '"' and name is None:
            name = yield from _string(source)
            if name is None or not calls.knows(name):
                return False
            yield calls.begin(name, id)
            yield calls.part(early or "")
        elif key in _ARGUMENTS and begins == "{" and name is not None:
            yield from calls.stream(value(source, stops))
        elif key in _ARGUMENTS:
            early = _arguments((yield from collect(value(source, stops))))
            if name is not None:
                yield calls.part(early)
        elif key in _ID and begins == '"':
            id = yield from _string(source)
        else:
            yield from collect(value(source, stops))
    if name is None:
        return False
    yield calls.end()
    return True


def _arguments(text: str) -> str:
    """As JSON of an object, which may have been wrapped in a text."""
    try:
        found = json.loads(text)
        inner = json.loads(found) if isinstance(found, str) else found
        if inner is None:
            return "{}"
        return dumps(inner) if isinstance(found, str) and isinstance(inner, dict) else text
    except (ValueError, RecursionError):
        return text


def _string(source: Source) -> Generator[None, None, str | None]:
    """A string of JSON; None if there is none."""
    if not (yield from source.starts('"')):
        return None
    source.at -= 1
    try:
        found = json.loads((yield from collect(value(source))), strict=False)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, str) and is_text(found) else None


def value(source: Source, stops: Sequence[str] = (), quotes: str = '"') -> Chunks[None]:
    """A value of JSON, as it is written, in chunks. It may be wrong inside, but its brackets and
    strings tell where it ends; at the latest that is before a control token, or before one of
    `stops` outside a string."""
    scan = _Scan(tuple(stops), quotes)
    while not scan.complete:
        plain = source.plain
        count = scan.take(plain)
        source.at += count
        if count:
            yield plain[:count]
        if scan.complete or len(plain) < count + len(source.left):
            return
        if not (yield from source.more()):
            break
    rest = source.left
    source.at += len(rest)
    if rest:
        yield rest


class _Scan:
    """Where a value ends."""

    def __init__(self, stops: tuple[str, ...], quotes: str) -> None:
        self._stops = stops
        self._quotes = quotes
        self._depth = 0
        self._quote = ""
        self._escaped = False
        self._begun = False
        self.complete = False

    def take(self, text: str) -> int:
        """How many characters of `text` belong to the value for certain."""
        for index, letter in enumerate(text):
            if self._quote:
                self._in_string(letter)
            else:
                rest = text[index : index + max(map(len, self._stops), default=0)]
                if any(rest.startswith(stop) for stop in self._stops):
                    self.complete = True
                    return index
                if rest and any(stop.startswith(rest) for stop in self._stops):
                    return index
                if not self._outside(letter):
                    self.complete = True
                    return index
            if self.complete:
                return index + 1
        return len(text)

    def _in_string(self, letter: str) -> None:
        if self._escaped:
            self._escaped = False
        elif letter == "\\":
            self._escaped = True
        elif letter == self._quote:
            self._quote = ""
            self.complete = self._depth == 0

    def _outside(self, letter: str) -> bool:
        """Whether the letter still belongs to the value."""
        if letter in self._quotes:
            self._quote = letter
        elif letter in "{[(":
            self._depth += 1
        elif letter in "}])":
            if self._depth == 0:
                return False
            self._depth -= 1
            self.complete = self._depth == 0
        elif self._depth == 0 and self._begun and letter in BLANKS + ",":
            return False
        self._begun = True
        return True
