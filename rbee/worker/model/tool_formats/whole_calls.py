"""Calls that can't be turned into JSON before they are there as a whole.

[add(a=1), now()]                                                   Llama 4, LFM2
<|python_tag|>add.call(a=1)                                         Llama 3
```tool_code
add(a=1)
```                                                                 Gemma 3
<start_function_call>call:add{a:1,b:<escape>x<escape>}<end_function_call>      FunctionGemma
<|tool_call>call:add{a:1,b:<|"|>x<|"|>}<tool_call|>                 Gemma 4
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from rbee.worker.model.tool_formats.calls import Calls, Reader, collect, dumps
from rbee.worker.model.tool_formats.json_calls import value
from rbee.worker.model.tool_formats.source import Source, Steps

Found: TypeAlias = list[tuple[str, str]]

_CONSTANTS = {"true": True, "false": False, "null": None}
_GEMMA = re.compile(r"\s*call:\s*([^\s{]+)\s*(\{.*\})\s*", re.DOTALL)
_QUOTES = ("<escape>", '<|"|>')
_WORD = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[{}\[\],:]|[^{}\[\],:"]+)', re.DOTALL)


def whole_reader(parse: Callable[[str], Found], closes: Sequence[str] = ()) -> Reader:
    """Reads up to the mark after the calls, or without one as far as their brackets tell, and takes
    them apart with `parse`: names, and arguments as JSON. It raises ValueError for anything
    else."""
    closes = tuple(closes)

    def read(source: Source, calls: Calls, mark: str) -> Steps[bool]:
        if closes:
            text = yield from collect(source.chunks(closes))
        else:
            if (yield from source.skip()) != "[" and not mark:
                return False
            text = yield from collect(value(source, quotes="\"'"))
        try:
            found = parse(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return False
        found = [(_without_method(name, calls), arguments) for name, arguments in found]
        if not found or not all(calls.knows(name) for name, _ in found):
            return False
        for name, arguments in found:
            yield calls.begin(name)
            yield calls.part(arguments)
            yield calls.end()
        return True

    return read


def _without_method(name: str, calls: Calls) -> str:
    """Llama 3 writes what its template calls built-in tools as methods: weather.call(city="X")."""
    return name if calls.knows(name) else name.removesuffix(".call")


def python_calls(text: str) -> Found:
    """Calls in Python, with arguments by their names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd Python, which a model may write
        body = ast.parse(text.strip(), mode="eval").body
    nodes = body.elts if isinstance(body, ast.List | ast.Tuple) else [body]
    found = []
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and len(node.args) == 1:
            node = node.args[0]
        if not isinstance(node, ast.Call) or node.args or any(not k.arg for k in node.keywords):
            raise ValueError("not a call with named arguments")
        arguments = {str(k.arg): _constant(k.value) for k in node.keywords}
        found.append((ast.unparse(node.func), dumps(arguments)))
    return found


def _constant(node: ast.expr) -> Any:
    """What an expression says, also where it names JSON's constants."""
    if isinstance(node, ast.Name) and node.id in _CONSTANTS:
        return _CONSTANTS[node.id]
    if isinstance(node, ast.List | ast.Tuple):
        return [_constant(each) for each in node.elts]
    if isinstance(node, ast.Dict):
        if not all(isinstance(k, ast.Constant) and isinstance(k.value, str) for k in node.keys):
            raise ValueError("a key that is not a text")
        keys = [k.value for k in node.keys if isinstance(k, ast.Constant)]
        return dict(zip(keys, map(_constant, node.values), strict=True))
    found = ast.literal_eval(node)
    json.dumps(found)  # a set is Python, but no JSON
    return found


def gemma_calls(text: str) -> Found:
    """Calls as Gemma writes them: JSON with bare keys, and marks in the place of quotes."""
    call = _GEMMA.fullmatch(text)
    if call is None:
        raise ValueError("not a call")
    quoted = call[2]
    for quote in _QUOTES:
        parts = quoted.split(quote)
        parts[1::2] = [dumps(part) for part in parts[1::2]]
        quoted = "".join(parts)
    written = "".join(_gemma_words(quoted))
    arguments = json.loads(written, parse_constant=lambda _: None)
    return [(call[1], dumps(arguments))]


def _gemma_words(text: str) -> Iterator[str]:
    words = _WORD.findall(text)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        bare = word.strip()
        if not bare:
            continue
        if bare[0] in '"{}[],:' or (following != ":" and _is_json(bare)):
            yield bare
        else:
            yield dumps(bare)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
