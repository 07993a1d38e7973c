"""Writes the config file of a world: only settings that users have too."""

import json
import tomllib
from pathlib import Path

Value = str | int | float | bool
Sections = dict[str, dict[str, Value]]


def as_toml(sections: Sections) -> str:
    """The strings, numbers and booleans of JSON are those of TOML."""
    return "\n".join(
        f"[{section}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        for section, keys in sections.items()
    )


def write(path: Path, sections: Sections) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_toml(sections), encoding="utf-8")


def read(text: str) -> Sections:
    """Parse what a program shows as its settings."""
    return dict(tomllib.loads(text))


def value_of(text: str) -> Value:
    """Return `0.5`, `true`, `10` or `"debug"` as TOML has them."""
    value = json.loads(text)
    assert isinstance(value, str | int | float | bool), text
    return value
