"""Models that are named by their path, or bundled."""

from __future__ import annotations

from pathlib import Path

import pytest

from rbee.contract.errors import ModelCorrupt, ModelNotFound, UnsupportedModelFormat
from rbee.contract.model_ref import parse
from rbee.hive.models.stored_models import file_outside


@pytest.mark.parametrize("name", ["m.gguf", "m.bin"])
def test_a_gguf_that_is_there_is_found_by_whatever_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"GGUF and more")
    assert file_outside(parse(f"file:{tmp_path}/{name}")) == tmp_path / name


def test_a_file_that_is_not_a_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"milk, bread")
    with pytest.raises(UnsupportedModelFormat, match="letters GGUF"):
        file_outside(parse(f"file:{tmp_path}/m.gguf"))


def test_a_git_lfs_pointer_is_told_as_such(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 98362752\n"
    (tmp_path / "m.gguf").write_text(pointer)
    with pytest.raises(ModelCorrupt) as caught:
        file_outside(parse(f"file:{tmp_path}/m.gguf"))
    assert caught.value.details == {
        "file": f"{tmp_path}/m.gguf",
        "reason": "it is the Git LFS pointer of the file, not the file",
    }
    assert "git lfs pull" in caught.value.advice


def test_a_file_that_is_not_there_is_reported_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="this node") as caught:
        file_outside(parse(f"file:{tmp_path}/m.gguf"))
    assert caught.value.details == {"model": f"file:{tmp_path}/m.gguf", "near": []}


def test_a_model_of_a_repository_is_not_here() -> None:
    with pytest.raises(ModelNotFound) as caught:
        file_outside(parse("hf:owner/repo:Q8_0"))
    assert "hf:owner/repo:Q8_0" in caught.value.message


def test_a_name_that_no_file_can_have_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        file_outside(parse(f"file:{tmp_path}/{'x' * 300}.gguf"))
