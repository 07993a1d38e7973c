"""A template may write the beginning-of-sequence token that the tokenizer adds: one is enough."""

from __future__ import annotations

from typing import Any

import pytest

from rbee.worker.requests.prompt import without_second_bos


class Vocabulary:
    """Letters are tokens; "^" is BOS."""

    def __init__(self, adds: bool) -> None:
        self._adds = adds
        self.tokenizer = self

    def special_token(self, which: str) -> int | None:
        return ord("^") if which == "bos" else None

    def adds_bos(self) -> bool:
        return self._adds

    def text(self, tokens: list[int]) -> str:
        return "".join(map(chr, tokens))


@pytest.mark.parametrize(
    ("adds", "text", "prompt"),
    [
        (True, "^abc", "^abc"),
        (True, "^^abc", "^abc"),
        (True, "^\n ^abc", "^abc"),
        (True, "^\n ^^abc", "^abc"),
        (True, "^\nabc", "^\nabc"),
        (True, "^abc^", "^abc^"),
        (True, "^", "^"),
        (True, "", ""),
        (False, "^^abc", "^^abc"),
        (False, "\nabc", "\nabc"),
    ],
)
def test_bos_is_there_once(adds: bool, text: str, prompt: str) -> None:
    vocabulary: Any = Vocabulary(adds)
    found = without_second_bos(vocabulary, [ord(letter) for letter in text])
    assert "".join(map(chr, found)) == prompt
