"""Words on a terminal stay whole, in whatever pieces they come."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.runtime.word_wrap import WordWrap, shortened, width, wrapped

COLUMNS = 20
Words = st.lists(st.text("abcde,.", min_size=1, max_size=15), min_size=1, max_size=30)


def shown(*pieces: str, columns: int = COLUMNS) -> list[str]:
    wrap = WordWrap()
    text = "".join(wrap.feed(piece, columns) for piece in pieces) + wrap.flush(columns)
    return text.split("\n")


@given(Words, st.integers(1, 7))
def test_lines_are_those_of_a_known_implementation_in_whatever_pieces(
    words: list[str], size: int
) -> None:
    text = " ".join(words)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert shown(*pieces) == textwrap.wrap(text, COLUMNS, break_on_hyphens=False)


def test_a_word_is_shown_as_soon_as_it_is_known_to_be_whole() -> None:
    wrap = WordWrap()
    assert [wrap.feed(piece, COLUMNS) for piece in ("On", "ce", " up", "on\n", "a")] == [
        "", "", "Once", " upon\n", "",
    ]  # fmt: skip
    assert wrap.line_is_open
    assert wrap.flush(COLUMNS) == "a"


def test_lines_and_indents_of_the_text_stay() -> None:
    text = "def f():\n    return 1\n\n\tx  y\n"
    assert shown(text) == text.split("\n")
    assert not WordWrap().line_is_open


def test_a_word_that_is_too_long_stays_in_one_piece_and_is_broken_by_the_terminal() -> None:
    address = "https://example.org/" + "a" * 30
    assert shown(f"see {address} there, and there") == ["see", f"{address} there,", "and there"]
    assert shown(*f"see {address} there") == ["see", f"{address} there"]


def test_a_line_of_wide_characters_ends_anywhere() -> None:
    text = "蜂" * 25
    assert shown(text) == ["蜂" * 10, "蜂" * 10, "蜂" * 5]


def test_a_command_is_left_in_one_line_as_it_will_be_copied() -> None:
    command = "rbee-keeper hive status --node workstation"
    assert wrapped(f"→ See what is wrong there: {command}", COLUMNS).split("\n") == [
        "→ See what is wrong", "there:", command,
    ]  # fmt: skip
    assert wrapped("→ Again: rbee-keeper", COLUMNS) == "→ Again: rbee-keeper"
    assert (
        wrapped("→ Accept it once more: --accept-key A B", COLUMNS).split("\n")[-1]
        == "--accept-key A B"
    )


@pytest.mark.parametrize(
    ("text", "columns"),
    [("a", 1), ("é", 1), ("e\u0301", 1), ("蜂", 2), ("🐝", 2), ("⚠️", 2), ("👩\u200d", 2), ("", 0)],
)
def test_width_is_counted_in_columns(text: str, columns: int) -> None:
    assert width(text) == columns


@given(st.text("abc 蜂🐝", max_size=40), st.integers(0, 30))
def test_a_shortened_text_fits_and_says_that_it_is_shortened(text: str, columns: int) -> None:
    short = shortened(text, columns)
    assert width(short) <= columns
    assert short == text or short.endswith("…") or columns == 0
