"""Changes a section, or a node, in the text of the config file, and keeps everything else.

tomlkit keeps comments and order, but it takes what is between two tables as part of the first one:
a comment above `[hive]` would be removed with the node before it. So a new table is written at the
end, a table is cut out of the text itself, and what follows a table's last key is set aside while a
key is added. The result is compared with the intended data, key by key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Comment, Table, Whitespace

_NODES = "nodes"


class NotEditable(Exception):
    """The file is written in a way that can't be changed without changing more."""


def with_node(text: str, name: str, values: Mapping[str, object]) -> str:
    """`text` with the keys `values` in [nodes.NAME]; other keys of the node stay.

    Raises tomllib.TOMLDecodeError if it is not TOML, and NotEditable.
    """
    intended = tomllib.loads(text)
    nodes = intended.setdefault(_NODES, {})
    edits = (_put,) if name in nodes else (_appended, _put)
    nodes[name] = {**nodes.get(name, {}), **values}
    return _edited(intended, (partial(edit, text, name, values) for edit in edits))


def with_values(text: str, section: str, values: Mapping[str, object]) -> str:
    """`text` with the keys `values` in [section]; other keys stay. Raises the same errors as
    `with_node`."""
    intended = tomllib.loads(text)
    edit = _put_in_section if section in intended else _section_appended
    intended[section] = {**intended.get(section, {}), **values}
    return _edited(intended, (partial(edit, text, section, values),))


def without_node(text: str, name: str) -> str | None:
    """`text` without [nodes.NAME]; None if it has none. Raises the same errors as `with_node`."""
    intended = tomllib.loads(text)
    if name not in intended.get(_NODES, {}):
        return None
    del intended[_NODES][name]
    return _edited(intended, (partial(edit, text, name) for edit in (_cut_out, _deleted)))


def _edited(intended: dict[str, Any], edits: Iterable[Callable[[], str]]) -> str:
    """The first edited text that has the `intended` data. No nodes are the same as no section."""
    for edit in edits:
        try:
            text = edit()
            if _normal(tomllib.loads(text)) == _normal(intended):
                return text
        except (tomllib.TOMLDecodeError, TOMLKitError, NotEditable):
            continue
    raise NotEditable


def _normal(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if (key, value) != (_NODES, {})}


def _appended(text: str, name: str, values: Mapping[str, object]) -> str:
    table = tomlkit.dumps({_NODES: {name: dict(values)}}).removeprefix(f"[{_NODES}]\n")
    return _with_table(text, table)


def _section_appended(text: str, section: str, values: Mapping[str, object]) -> str:
    return _with_table(text, tomlkit.dumps({section: dict(values)}))


def _with_table(text: str, table: str) -> str:
    end = "" if not text or text.endswith("\n") else "\n"
    between = "\n" if text.strip() else ""
    return text + end + between + table


def _put(text: str, name: str, values: Mapping[str, object]) -> str:
    document = tomlkit.parse(text)
    nodes: Any = document[_NODES]
    if name not in nodes:
        nodes[name] = {}
    _update(nodes[name], values)
    return tomlkit.dumps(document)


def _put_in_section(text: str, section: str, values: Mapping[str, object]) -> str:
    document = tomlkit.parse(text)
    _update(document[section], values)
    return tomlkit.dumps(document)


def _update(table: Any, values: Mapping[str, object]) -> None:
    after = _tail(table)
    table.update(values)
    if after:
        table.value.body.extend(after)


def _cut_out(text: str, name: str) -> str:
    nodes: Any = tomlkit.parse(text)[_NODES]
    node = nodes[name]
    if not isinstance(node, Table):
        raise NotEditable
    _tail(node)
    words = node.as_string()
    quoted = "|".join(re.escape(f"{quote}{name}{quote}") for quote in ("", '"', "'"))
    head = re.compile(rf"^[ \t]*\[[ \t]*{_NODES}[ \t]*\.[ \t]*(?:{quoted})[ \t]*\][^\n]*\n?", re.M)
    for found in head.finditer(text):
        if text.startswith(words, found.end()):
            before, after = text[: found.start()], text[found.end() + len(words) :]
            return before + after if after.strip() else _ended(before)
    raise NotEditable


def _ended(text: str) -> str:
    return f"{text.rstrip()}\n" if text.strip() else ""


def _deleted(text: str, name: str) -> str:
    document = tomlkit.parse(text)
    nodes: Any = document[_NODES]
    del nodes[name]
    return tomlkit.dumps(document)


def _tail(node: Any) -> list[Any]:
    """Remove and return what follows the last key: from the first empty line, or from the first
    comment if there is none."""
    if not isinstance(node, Table):
        return []
    body = node.value.body
    first = len(body)
    while first and isinstance(body[first - 1][1], Comment | Whitespace):
        first -= 1
    blank = (at for at in range(first, len(body)) if isinstance(body[at][1], Whitespace))
    first = next(blank, first)
    after = body[first:]
    del body[first:]
    return after
