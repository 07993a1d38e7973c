"""A machine behind SSH: where its program and its hive are, and the token that its hive is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from rbee.contract.config import Config, RemoteSection
from rbee.contract.registry import NodeRow
from rbee.queen.nodes.ssh_host import SshHost, hub_token
from tests.queen.conftest import NAME


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HOME", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)


def write(file: Path, text: str = " hf_file \n") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_there_may_be_none() -> None:
    assert hub_token() is None


def test_each_place_goes_before_the_next(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home / ".cache/huggingface/token", "home\n")
    assert hub_token() == "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert hub_token() is None
    write(tmp_path / "xdg/huggingface/token", "xdg")
    assert hub_token() == "xdg"
    write(tmp_path / "hf/token", "hf_home")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert hub_token() == "hf_home"
    write(home / "named", "named")
    monkeypatch.setenv("HF_TOKEN_PATH", "~/named")
    assert hub_token() == "named"
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "older")
    assert hub_token() == "older"
    monkeypatch.setenv("HF_TOKEN", " variable ")
    assert hub_token() == "variable"
    monkeypatch.setenv("HF_TOKEN", "  ")
    assert hub_token() == "older"


@pytest.mark.parametrize("data", [b"", b" \n", b"\xff\xfe"])
def test_a_file_without_a_token_is_none(home: Path, data: bytes) -> None:
    file = write(home / ".cache/huggingface/token")
    assert hub_token() == "hf_file"
    file.write_bytes(data)
    assert hub_token() is None


@pytest.mark.parametrize(
    ("remote", "install_path", "program"),
    [
        ({"binary_path": "/opt/rbee-hive", "git_repo_dir": "~/g"}, "~/i", "/opt/rbee-hive"),
        ({"git_repo_dir": "~/g"}, "~/i", "~/g/.venv/bin/rbee-hive"),
        ({}, "~/my rbee", "~/my rbee/.venv/bin/rbee-hive"),
        ({}, None, "rbee-hive"),
    ],
)
def test_where_its_program_is_follows_from_the_settings(
    remote: dict[str, str], install_path: str | None, program: str
) -> None:
    row = NodeRow(node_name=NAME, ssh_host="h", install_path=install_path)
    assert SshHost(row, Config(remote=RemoteSection(**remote))).program == program


@pytest.mark.parametrize(
    ("direct", "peer", "url"),
    [
        (True, "10.0.0.2", "http://10.0.0.2:9300"),
        (True, "fe80::1", "http://[fe80::1]:9300"),
        (False, "10.0.0.2", "http://127.0.0.1:9300"),
    ],
)
async def test_it_is_looked_for_where_the_machine_was_reached(
    direct: bool, peer: str, url: str
) -> None:
    row = NodeRow(node_name=NAME, ssh_host="h", hive_port=9300)
    remote: Any = SimpleNamespace(is_connected=True, is_direct=direct, peer=peer)
    host = SshHost(row, Config(), remote)
    assert await host.connect(lambda *_: None) == url
    host = SshHost(msgspec.structs.replace(row, hive_url="http://given:1/"), Config(), remote)
    assert await host.connect(lambda *_: None) == "http://given:1"
