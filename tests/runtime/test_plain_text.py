"""What an output that shows only ASCII gets."""

from __future__ import annotations

import codecs

import pytest

from rbee.runtime import plain_text


@pytest.mark.parametrize(
    ("text", "answer", "elsewhere"),
    [
        ("[queen] 🧭 placement", "[queen] placement", None),
        ("⚠️ careful", "careful", None),
        ("⏱️ waiting", "waiting", None),
        ("→ Type: this…", "-> Type: this...", None),
        ("20 tokens · 3 × 4", "20 tokens - 3 x 4", None),
        ("“a” ‘b’ – c", "\"a\" 'b' - c", None),
        ("née 蜂", "n?e ?", "n\\xe9e \\u8702"),
        ("👩‍🔬🐝 two", "two", None),
        ("✓ ✗", "+ x", None),
    ],
)
def test_signs_are_those_of_ascii_and_emoji_are_left_out(
    text: str, answer: str, elsewhere: str | None
) -> None:
    plain_text.register()
    assert codecs.encode(text, "ascii", plain_text.ANSWER).decode() == answer
    assert codecs.encode(text, "ascii", plain_text.ELSEWHERE).decode() == (elsewhere or answer)


def test_what_can_be_shown_is_shown() -> None:
    plain_text.register()
    assert codecs.encode("née · …", "latin-1", plain_text.ANSWER) == b"n\xe9e \xb7 ..."


def test_what_can_not_be_decoded_is_still_an_error() -> None:
    plain_text.register()
    with pytest.raises(UnicodeDecodeError):
        codecs.decode(b"\xff", "ascii", plain_text.ANSWER)
