"""Writes the config file of a world: only settings that users have too."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

Value = str | int | float | bool | list[str]
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
    assert isinstance(value, str | int | float | bool | list), text
    return value


SHOWING = ("queen-rbee daemon", "rbee-hive daemon", "llm-worker-rbee")


def variable(setting: str) -> str:
    """Return the name of its environment variable."""
    return f"RBEE_{setting}".replace(".", "_").upper()


def _as_variable(text: str) -> str:
    """Return a value as a feature writes it as the environment has it: a list with commas."""
    value = json.loads(text)
    return ", ".join(value) if isinstance(value, list) else text.strip('"')


def json_of(text: str) -> object:
    """Return a value as a feature writes it; 10 and 10.0 are the same."""
    return json.loads(text)


def flat(text: str) -> dict[str, object]:
    """Return shown settings by `section.key`."""
    found: dict[str, object] = {}
    for section, keys in tomllib.loads(text).items():
        found |= {f"{section}.{key}": value for key, value in keys.items()}
    return found


class Places:
    """Settings with a value for each place: the file, the environment, and a daemon's flag."""

    def __init__(self, rows: Sequence[Mapping[str, str]]) -> None:
        self._rows = rows

    @property
    def file(self) -> str:
        sections: Sections = {}
        for row in self._rows:
            section, _, key = row["setting"].partition(".")
            sections.setdefault(section, {})[key] = value_of(row["file"])
        return as_toml(sections)

    @property
    def environment(self) -> dict[str, str]:
        return {variable(row["setting"]): _as_variable(row["environment"]) for row in self._rows}

    def flags(self, command: str) -> str:
        """Return the flags of a daemon, such as `--port 8183`."""
        given = [row for row in self._rows if row["flag of"] == command]
        names = [row["setting"].partition(".")[2].replace("_", "-") for row in given]
        return " ".join(f"--{name} {row['flag']}" for name, row in zip(names, given, strict=True))

    def wanted(self, environment: bool = False, flags_of: str = "") -> dict[str, object]:
        """Return the values that count if these places are there, beside the file."""
        found = {}
        for row in self._rows:
            place = "environment" if environment else "file"
            place = "flag" if flags_of and row["flag of"] == flags_of else place
            found[row["setting"]] = json_of(row[place])
        return found
