"""Text for an output that can't show every character, as in the locale C: readable all the same.

Signs become those of ASCII, and an emoji is left out with the blank behind it. A letter that is not
there is a question mark in an answer, and its number elsewhere, where it may be part of a name.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Callable

ANSWER, ELSEWHERE = "rbee-answer", "rbee-elsewhere"

_SIGNS = {
    "→": "->",
    "…": "...",
    "·": "-",
    "–": "-",
    "—": "-",
    "×": "x",
    "≈": "~",
    "≤": "<=",
    "≥": ">=",
    "✓": "+",
    "✗": "x",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "\u00a0": " ",
    "\u202f": " ",
}
_SYMBOLS = ("So", "Sk")
_JOINED_TO_EMOJI = "\N{VARIATION SELECTOR-16}\N{ZERO WIDTH JOINER}"


def register() -> None:
    """Make `ANSWER` and `ELSEWHERE` known as ways to treat what can't be encoded."""
    codecs.register_error(ANSWER, lambda error: _replaced(error, lambda _: "?"))
    codecs.register_error(ELSEWHERE, lambda error: _replaced(error, _number))


def _replaced(error: UnicodeError, other: Callable[[str], str]) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text, end = error.object, error.end
    if _is_emoji(text[end - 1]) and text[end : end + 1] == " ":
        end += 1
    return "".join(_plain(letter, other) for letter in text[error.start : error.end]), end


def _plain(letter: str, other: Callable[[str], str]) -> str:
    if letter in _SIGNS:
        return _SIGNS[letter]
    return "" if _is_emoji(letter) else other(letter)


def _is_emoji(letter: str) -> bool:
    is_symbol = unicodedata.category(letter) in _SYMBOLS and letter not in _SIGNS
    return is_symbol or letter in _JOINED_TO_EMOJI


def _number(letter: str) -> str:
    return letter.encode("ascii", "backslashreplace").decode()
