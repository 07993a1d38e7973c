"""Text of others can't drive a terminal, hide, or forge a line, and what is harmless stays."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.runtime import safe_text

# Ignored by whatever shows it, though their category does not say so.
IGNORED = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180f\u3164\uffa0\U000e0100\U000e0fff"
HARMLESS = "a b\tc äöü 中文 עברית ⚠️ ⏱️ 🦊 \\x1b \u00a0"


def is_unsafe(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") or letter in IGNORED


EVERYTHING = "".join(map(chr, range(sys.maxunicode + 1)))
UNSAFE = "".join(filter(is_unsafe, EVERYTHING))


def test_no_control_and_nothing_hidden_is_left_in_a_line() -> None:
    left = set(safe_text.line(EVERYTHING))
    assert {letter for letter in left if is_unsafe(letter)} == {"\t"}


def test_lines_keep_their_breaks_and_nothing_else() -> None:
    left = set(safe_text.lines(EVERYTHING))
    assert {letter for letter in left if is_unsafe(letter)} == {"\t", "\n"}


def test_an_answer_keeps_what_languages_and_emoji_are_made_of() -> None:
    left = {letter for letter in set(safe_text.answer(UNSAFE)) if is_unsafe(letter)}
    assert {"\t", "\n", "\u200c", "\u200d", "\u200f"} <= left
    assert not left & set(map(chr, (*range(9), *range(11, 32), *range(127, 160))))
    assert not left & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ud800\udfff")
    assert safe_text.answer("a\r\nb\x1b[2J 👨‍👩‍👧") == "a\nb\\x1b[2J 👨‍👩‍👧"


@pytest.mark.parametrize("show", [safe_text.line, safe_text.lines, safe_text.answer])
def test_what_is_harmless_stays(show: object) -> None:
    assert callable(show)
    assert show(HARMLESS) == HARMLESS


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb", "a\\x0ab"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2028", "\\u2028"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_it_is_written_as_python_does(text: str, shown: str) -> None:
    assert safe_text.line(text) == shown


@given(st.text())
def test_a_line_is_safe_however_often_it_passes(text: str) -> None:
    shown = safe_text.line(text)
    assert safe_text.line(shown) == shown
    assert safe_text.answer(shown) == shown


def test_a_document_means_the_same_and_is_safe() -> None:
    letters = "".join(each for each in UNSAFE if unicodedata.category(each) != "Cs")
    told = {letters: [letters, {"a": "\x9b\x7f"}]}
    text = safe_text.document(json.dumps(told, ensure_ascii=False, indent=2))
    assert json.loads(text) == told
    assert not [letter for letter in text if is_unsafe(letter) and letter != "\n"]


def test_what_cannot_be_encoded_can_be_afterwards() -> None:
    assert safe_text.encodable("a\udcff\x1b").encode() == b"a\\udcff\x1b"
