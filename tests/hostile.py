"""Messages of the contract with one text in every field: a hostile one, or a harmless one."""

from __future__ import annotations

import unicodedata
from typing import Any

import msgspec
from msgspec import inspect

# Controls of both sets, DEL, what reorders, what hides, ends of lines, and rich's markup.
HOSTILE = (
    (
        "\x1b]0;owned\x07\x9b2J\x7f\u202egpj\u2066\u200b\ufeff\u2028\n"
        "2026-01-01T00:00:00.000 INFO forged\r\n→ Run: evil[bold]x[/bold]\ud83d\ude00"
    )
    .encode("utf-16", "surrogatepass")
    .decode("utf-16")
)
HARMLESS = "harmless"
FORGED = ("2026-01-01T", "→ Run: evil")


def filled(kind: Any, text: str = HOSTILE) -> Any:
    """A value of the type with `text` in every text of it; lists and mappings have one entry."""
    return _filled(inspect.type_info(kind), text)


def unsafe(shown: str) -> set[str]:
    """What a terminal would obey, hide or reorder in what was shown."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return {each for each in shown if unicodedata.category(each) in kinds} - {"\n", "\t"}


def forged(shown: str) -> list[str]:
    """The lines that look as if one of our programs had begun them."""
    return [line for line in shown.splitlines() if line.startswith(FORGED)]


def _filled(kind: inspect.Type, text: str) -> Any:
    match kind:
        case inspect.StrType():
            return text
        case inspect.AnyType() | inspect.CustomType():
            return text
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return 1
        case inspect.FloatType():
            return 1.0
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.ListType(item_type=item):
            return [_filled(item, text)]
        case inspect.DictType(value_type=value):
            return {text: _filled(value, text)}
        case inspect.UnionType(types=types):
            something = (each for each in types if not isinstance(each, inspect.NoneType))
            return _filled(next(something), text)
        case inspect.StructType(cls=cls, fields=fields):
            return cls(**{each.name: _filled(each.type, text) for each in fields})
        case inspect.Metadata(type=inner):
            return _filled(inner, text)
        case inspect.RawType():
            return msgspec.Raw(msgspec.json.encode(text))
    raise TypeError(kind)
