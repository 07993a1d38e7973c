"""The token of Hugging Face, where huggingface_hub would look for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rbee.queen.nodes import hub_token


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HOME", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)


def write(file: Path, text: str = " hf_file \n") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_there_may_be_none() -> None:
    assert hub_token.load() is None


def test_each_place_goes_before_the_next(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home / ".cache/huggingface/token", "home\n")
    assert hub_token.load() == "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert hub_token.load() is None
    write(tmp_path / "xdg/huggingface/token", "xdg")
    assert hub_token.load() == "xdg"
    write(tmp_path / "hf/token", "hf_home")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert hub_token.load() == "hf_home"
    write(home / "named", "named")
    monkeypatch.setenv("HF_TOKEN_PATH", "~/named")
    assert hub_token.load() == "named"
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "older")
    assert hub_token.load() == "older"
    monkeypatch.setenv("HF_TOKEN", " variable ")
    assert hub_token.load() == "variable"
    monkeypatch.setenv("HF_TOKEN", "  ")
    assert hub_token.load() == "older"


@pytest.mark.parametrize("data", [b"", b" \n", b"\xff\xfe"])
def test_a_file_without_a_token_is_none(home: Path, data: bytes) -> None:
    file = write(home / ".cache/huggingface/token")
    assert hub_token.load() == "hf_file"
    file.write_bytes(data)
    assert hub_token.load() is None
