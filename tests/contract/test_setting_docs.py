"""What each setting is for stands with the setting."""

from __future__ import annotations

import msgspec
import pytest

from rbee.contract.config import Config
from rbee.contract.setting_docs import NODES, Setting, sections, settings
from rbee.runtime import settings as reading

ALL = [setting for section in sections() for setting in settings(section)]


def of(section: str, key: str) -> Setting:
    return next(setting for setting in settings(section) if setting.key == key)


def test_every_section_of_the_file_is_there_and_says_what_it_is_about() -> None:
    assert list(sections()) == list(Config.__struct_fields__)
    assert [name for name, about in sections().items() if not about.endswith(".")] == []


@pytest.mark.parametrize("setting", ALL, ids=lambda setting: f"{setting.section}.{setting.key}")
def test_every_key_says_what_it_is_for_in_a_sentence(setting: Setting) -> None:
    assert setting.meaning.endswith("."), f"{setting.section}.{setting.key} has no description"
    assert setting.meaning[0].isupper()


@pytest.mark.parametrize(
    "setting", [s for s in ALL if s.variable], ids=lambda setting: str(setting.variable)
)
def test_the_variable_of_a_key_is_read(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    assert setting.variable is not None
    monkeypatch.setenv(setting.variable, "7" if setting.key != "url" else "http://q:7")
    try:
        section = getattr(reading.load(), setting.section)
        assert str(getattr(section, setting.key)).startswith(("7", "http://q:7", "True", "['7']"))
    except reading.ConfigInvalid as error:
        # Not every key takes a 7; that it was read shows in who is named.
        assert error.details["source"] == setting.variable
        assert "is not valid" in str(error)


@pytest.mark.parametrize(
    ("section", "key", "takes", "default"),
    [
        ("hive", "port", "integer from 0 to 65,535", 9200),
        ("hive", "health_interval_s", "number above 0, at most 31,536,000", 30),
        ("worker", "context", "integer from 64 to 16,777,216", None),
        ("worker", "mmap", "true or false", True),
        ("models", "aliases", "a table of texts", {}),
        ("log", "format", '"text", "json"', "text"),
        ("paths", "catalog_db", "text", None),
        (NODES, "ssh_port", "integer from 1 to 65,535", None),
        (NODES, "git_branch", "text", "main"),
    ],
)
def test_what_a_key_takes_and_its_default(
    section: str, key: str, takes: str, default: object
) -> None:
    found = of(section, key)
    assert (found.takes, found.default) == (takes, default)


def test_defaults_are_those_of_the_built_in_configuration() -> None:
    built_in = msgspec.to_builtins(Config())
    for section in set(sections()) - {NODES}:
        assert {s.key: s.default for s in settings(section)} == built_in[section]


def test_a_setting_in_whole() -> None:
    port = of("hive", "port")
    assert (port.section, port.key, port.variable) == ("hive", "port", "RBEE_HIVE_PORT")
    assert of("models", "aliases").variable is None
    assert of(NODES, "ssh_port").variable is None
    assert of(NODES, "ssh_port").section == NODES
    assert of("worker", "context").default is None
    about = sections()
    assert len(set(about.values())) == len(about)
    required = {each.key: each.default for each in settings(NODES) if each.default is None}
    assert "ssh_host" in required
    assert any(each.example for each in ALL) and not all(each.example for each in ALL)
