"""How long a context is: one rule for the hive's preflight and the worker's load."""

from __future__ import annotations

import pytest

from rbee.gguf.header import context_length


@pytest.mark.parametrize(
    ("asked", "trained", "tokens"),
    [
        (None, 2048, 2048),
        (None, 8192, 8192),
        (None, 131_072, 8192),
        (512, 2048, 512),
        (16_384, 131_072, 16_384),
        (4096, 2048, 2048),
    ],
)
def test_the_context_is_as_asked_but_never_beyond_the_training(
    asked: int | None, trained: int, tokens: int
) -> None:
    assert context_length(asked, trained) == tokens
