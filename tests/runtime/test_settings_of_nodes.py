"""The sections [nodes.NAME] of the config file."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from rbee.contract.errors import ConfigInvalid
from rbee.contract.registry import NodeSettings
from rbee.runtime import settings


@pytest.fixture
def file(home: Path) -> Path:
    path = home / ".config" / "rbee" / "config.toml"
    path.parent.mkdir(parents=True)
    return path


def refused(file: Path, text: str) -> ConfigInvalid:
    file.write_text(text)
    with pytest.raises(ConfigInvalid) as caught:
        settings.load()
    return caught.value


def test_nodes_are_read_by_their_names(file: Path) -> None:
    file.write_text(
        '[nodes.workstation]\nssh_host = "w"\nssh_port = 2222\ntunnel = true\n'
        '[nodes."attic.home"]\nhive_url = "http://attic:9200"\n'
    )
    assert settings.load().nodes == {
        "workstation": NodeSettings(ssh_host="w", ssh_port=2222, tunnel=True),
        "attic.home": NodeSettings(hive_url="http://attic:9200"),
    }


@pytest.mark.parametrize(
    ("key", "near"),
    [("ssh_hst", "ssh_host"), ("shh_port", "ssh_port"), ("tunel", "tunnel")],
)
def test_an_unknown_key_is_told_with_the_nearest(file: Path, key: str, near: str) -> None:
    error = refused(
        file, f'[nodes.attic]\nssh_host = "a"\n[nodes.w]\nssh_host = "w"\n{key} = "w"\n'
    )
    assert error.message == f"{file}: unknown setting nodes.w.{key}."
    assert error.details == {
        "source": str(file),
        "key": f"nodes.w.{key}",
        "hint": f"Did you mean {near}?",
    }


def test_a_key_that_is_near_to_none_is_told_with_all(file: Path) -> None:
    error = refused(file, '[nodes.w]\nssh_host = "w"\nqqqq = 1\n')
    assert error.advice.startswith("Known settings: ssh_host, ssh_port, ")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[nodes.w]\nssh_port = 22\n", "nodes.w.ssh_host"),
        ('[nodes.w]\nssh_host = "w"\nssh_port = 0\n', "nodes.w.ssh_port"),
        ('[nodes.w]\nssh_host = "w"\ntunnel = "yes"\n', "nodes.w.tunnel"),
        ('[nodes.w]\nhive_url = "w:9200"\n', "nodes.w.hive_url"),
        ('[nodes."a b"]\nssh_host = "w"\n', "nodes.a b"),
        ("[nodes]\nw = 3\n", "nodes.w"),
        ("nodes = 3\n", "nodes"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(file: Path, text: str, key: str) -> None:
    error = refused(file, text)
    assert error.details["key"] == key
    assert f"{key} is not valid: " in error.message
    assert str(file) in error.message


def test_a_section_that_is_near_to_nodes_is_no_section(file: Path) -> None:
    error = refused(file, '[node.w]\nssh_host = "w"\n')
    assert error.message == f"{file}: unknown setting node."


def test_no_variable_of_the_environment_sets_a_node(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RBEE_NODES_W", "x")
    error = refused(file, '[nodes.w]\nssh_host = "w"\n')
    assert error.message == "RBEE_NODES_W: unknown setting nodes.w."


def test_the_nodes_are_shown_without_what_is_not_set(file: Path) -> None:
    file.write_text('[nodes.w]\nssh_host = "w"\n')
    shown = tomllib.loads(settings.show(settings.load()))
    assert shown["nodes"] == {
        "w": {
            "ssh_host": "w",
            "git_branch": "main",
            "hive_port": 9200,
            "tunnel": False,
            "wake": True,
            "wake_address": "255.255.255.255",
        }
    }
