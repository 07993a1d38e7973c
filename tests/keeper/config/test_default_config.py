"""The config file of a new installation."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec
import pytest

from rbee.contract.config import Config
from rbee.keeper.config import default_config
from rbee.runtime import settings

SECTIONS = [field for field in msgspec.structs.fields(Config) if field.name != "nodes"]
KEYS = [
    (section.name, key.name) for section in SECTIONS for key in msgspec.structs.fields(section.type)
]


def taken_in(text: str) -> str:
    return re.sub(r"^#(?=\w+ = )", "", text, flags=re.MULTILINE)


def lines_of(section: str) -> list[str]:
    (found,) = re.findall(rf"^\[{section}\]\n(.*?)(?=^\[|\Z)", default_config.text(), re.M | re.S)
    return str(found).splitlines()


def test_the_new_file_sets_nothing() -> None:
    assert settings.parse(default_config.text(), "file") == Config()
    assert not any(values for values in tomllib.loads(default_config.text()).values())


def test_uncommented_the_file_has_the_defaults() -> None:
    text = taken_in(default_config.text())
    assert text != default_config.text()
    assert settings.parse(text, "file") == Config()


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_setting_is_there_once_with_its_meaning(section: str, key: str) -> None:
    lines = lines_of(section)
    default = getattr(getattr(Config(), section), key)
    own = [line for line in lines if re.match(rf"#{key} = ", line)]
    assert len(own) == (default is not None)
    example = [line for line in lines if line.startswith(f"# For example: {key} = ")]
    assert example or default is not None
    first = min(lines.index(line) for line in (*own, *example))
    assert re.match(r"# \w.*\.$", lines[first - 1])


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_example_is_valid(section: str, key: str) -> None:
    for line in lines_of(section):
        if line.startswith(f"# For example: {key} = "):
            text = f"[{section}]\n{line.removeprefix('# For example: ')}"
            found: Any = getattr(settings.parse(text, "file"), section)
            assert getattr(found, key) != getattr(getattr(Config(), section), key)


def test_the_example_of_a_node_is_valid() -> None:
    text = default_config.text()
    node = text[text.index("[nodes.workstation]") :].replace("\n#    ", "\n")
    assert "workstation" in settings.parse(node, "file").nodes


def test_an_active_setting_is_not_commented_out() -> None:
    text = default_config.text({"models.dir": "/var/lib/rbee/models"})
    assert tomllib.loads(text)["models"] == {"dir": "/var/lib/rbee/models"}
    assert tomllib.loads(taken_in(text))["models"]["dir"] == "/var/lib/rbee/models"


def test_a_text_is_quoted_for_toml() -> None:
    text = default_config.text({"models.dir": 'a "b"\\c\x7fé'})
    assert tomllib.loads(text)["models"]["dir"] == 'a "b"\\c\x7fé'
