"""What each setting is for, read from the types that define it: `config` and `registry`.

The reference page and the config file that `install` writes are both made from this.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from rbee.contract.config import Config
from rbee.contract.registry import NodeSettings

NODES = "nodes"

_WORDS: dict[object, str] = {str: "text", int: "integer", float: "number", bool: "true or false"}


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the config file. `default` is None if it is unset; `takes` describes the value.
    `example` shows a value where the default does not, else None. `variable` is None for a setting
    that has no environment variable."""

    section: str
    key: str
    takes: str
    default: Any
    meaning: str
    example: Any
    variable: str | None


def sections() -> dict[str, str]:
    """The sections in the order of the file, each with what it is about."""
    return {
        field.name: _about(NodeSettings if field.name == NODES else field.type)
        for field in msgspec.structs.fields(Config)
    }


def settings(section: str) -> Iterator[Setting]:
    """The keys of a section; those of `nodes` are what may stand in [nodes.NAME]."""
    owner = NodeSettings if section == NODES else get_type_hints(Config)[section]
    hints = get_type_hints(owner, include_extras=True)
    for field in msgspec.structs.fields(owner):
        hint = hints[field.name]
        has_variable = section != NODES and get_origin(_bare(hint)) is not dict
        yield Setting(
            section=section,
            key=field.name,
            takes=_takes(hint),
            default=None if field.required else _default(field),
            meaning=_meaning(hint),
            example=_example(hint),
            variable=f"RBEE_{section}_{field.name}".upper() if has_variable else None,
        )


def _about(owner: type) -> str:
    return " ".join((owner.__doc__ or "").split())


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _meaning(hint: object) -> str:
    said = [meta.description for meta in _metas(hint) if meta.description is not None]
    return said[-1] if said else ""


def _example(hint: object) -> object:
    shown = [meta.examples[0] for meta in _metas(hint) if meta.examples]
    return shown[-1] if shown else None


def _metas(hint: object) -> list[Meta]:
    return [found for found in getattr(hint, "__metadata__", ()) if isinstance(found, Meta)]


def _bare(hint: object) -> object:
    """Without annotations and without `| None`."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return _bare(next(kind for kind in get_args(hint) if kind is not NoneType))
    return hint


def _takes(hint: object) -> str:
    kind = _bare(hint)
    if get_origin(kind) is Literal:
        return ", ".join(f'"{value}"' for value in get_args(kind))
    if get_origin(kind) is dict:
        return "a table of texts"
    if get_origin(kind) is list:
        return "a list of texts"
    return _WORDS[kind] + _limits(hint)


def _limits(hint: object) -> str:
    """The bounds of a number."""
    if get_origin(hint) in (Union, UnionType):
        return "".join(_limits(kind) for kind in get_args(hint))
    if get_origin(hint) is not Annotated:
        return ""
    metas = _metas(hint)
    above = next((f" above {meta.gt:,}" for meta in metas if meta.gt is not None), "")
    least = next((f" from {meta.ge:,}" for meta in metas if meta.ge is not None), "")
    most = next((f" to {meta.le:,}" for meta in metas if meta.le is not None), "")
    if above and most:
        most = f", at most{most.removeprefix(' to')}"
    return f"{above}{least}{most}" or _limits(get_args(hint)[0])
