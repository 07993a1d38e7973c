"""A reference's file stays below its repository, whoever wrote it."""

from __future__ import annotations

import pytest

from rbee.contract.errors import InvalidModelRef
from rbee.contract.model_ref import parse


@pytest.mark.parametrize(
    "file",
    [
        "/etc/m.gguf",
        "dir//m.gguf",
        "./m.gguf",
        "dir/./m.gguf",
        "../m.gguf",
        "dir/../../m.gguf",
        "a\\..\\m.gguf",
        "a b.gguf",
        "a\nb.gguf",
        "a\0b.gguf",
        "\x1b[2Jm.gguf",
        "\x7fm.gguf",
    ],
)
def test_a_file_that_would_lie_elsewhere_or_can_not_be_shown_is_refused(file: str) -> None:
    with pytest.raises(InvalidModelRef):
        parse(f"hf:owner/repo/{file}")


@pytest.mark.parametrize(
    "file", ["m.gguf", "a/b/c.GGUF", "..m.gguf", "~/m.gguf", "größe-模型.gguf"]
)
def test_a_file_below_its_repository_is_read(file: str) -> None:
    assert parse(f"hf:owner/repo/{file}").file == file
