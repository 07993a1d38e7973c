"""From bytes to text that may be shown: whole characters, and never a stop sequence."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.worker.model.text_stream import TextStream

TEXT = "aé€🐝z"


def shown(pieces: Sequence[bytes], *stop: str) -> str:
    stream = TextStream(stop)
    return "".join(stream.feed(piece) for piece in pieces) + stream.finish()


@pytest.mark.parametrize("at", range(len(TEXT.encode()) + 1))
def test_a_text_that_is_cut_anywhere_comes_out_whole(at: int) -> None:
    data = TEXT.encode()
    assert shown([data[:at], data[at:]]) == TEXT


def test_a_text_that_comes_byte_by_byte_comes_out_whole() -> None:
    assert shown([bytes([byte]) for byte in TEXT.encode()]) == TEXT


def test_half_a_character_is_held_back() -> None:
    stream = TextStream()
    assert [stream.feed(bytes([byte])) for byte in "🐝".encode()] == ["", "", "", "🐝"]


def test_half_a_character_at_the_end_is_shown_as_broken() -> None:
    assert shown(["a🐝".encode()[:-1]]) == "a�"


def test_bytes_that_are_no_text_are_shown_as_broken_and_the_rest_goes_on() -> None:
    assert shown([b"a\xff", b"b"]) == "a�b"


def test_a_stop_sequence_is_never_shown() -> None:
    stream = TextStream(["STOP"])
    assert stream.feed(b"before STOP after") == "before "
    assert stream.stopped
    assert stream.finish() == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [(b"a STOP", "STOP"), (b"an END, no STOP", "END"), (b"a STOPPED", "STOPPED"), (b"a", None)],
)
def test_the_stop_sequence_that_came_is_told(text: bytes, found: str | None) -> None:
    stream = TextStream(["STOP", "STOPPED", "END"])
    stream.feed(text)
    stream.feed(b" STOP" if found else b"")
    assert stream.stop_found == found


def test_what_comes_after_the_stop_is_swallowed() -> None:
    stream = TextStream(["STOP"])
    stream.feed(b"STOP")
    assert stream.feed(b"more") == ""


@pytest.mark.parametrize("at", range(1, 5))
def test_a_stop_sequence_that_is_cut_anywhere_is_found(at: int) -> None:
    data = b"xSTOPy"
    stream = TextStream(["STOP"])
    assert stream.feed(data[:at]) == "x"
    assert stream.feed(data[at:]) == ""
    assert stream.stopped


def test_what_might_begin_a_stop_sequence_is_held_back() -> None:
    stream = TextStream(["STOP"])
    assert stream.feed(b"ab ST") == "ab "
    assert stream.feed(b"ART") == "START"
    assert not stream.stopped


def test_no_more_is_held_back_than_might_begin_a_stop_sequence() -> None:
    stream = TextStream(["aab"])
    assert stream.feed(b"aaaa") == "aa"
    assert stream.feed(b"b") == ""
    assert stream.stopped


def test_a_beginning_that_came_to_nothing_is_shown_at_the_end() -> None:
    stream = TextStream(["STOP"])
    assert stream.feed(b"the STO") == "the "
    assert stream.finish() == "STO"
    assert not stream.stopped


def test_the_stop_sequence_that_comes_first_counts() -> None:
    stream = TextStream(["zz", "b"])
    assert stream.feed(b"abczz") == "a"


def test_a_stop_sequence_of_letters_in_several_bytes_is_found() -> None:
    data = "süßES ENDE".encode()
    for at in range(len(data) + 1):
        assert shown([data[:at], data[at:]], "ßE") == "sü"


def test_the_longest_held_beginning_of_several_stop_sequences_counts() -> None:
    stream = TextStream(["b!", "abc"])
    assert stream.feed(b"xab") == "x"
    assert stream.feed(b"d") == "abd"


def test_a_line_end_may_be_a_stop_sequence() -> None:
    assert shown([b"one\n", b"\ntwo"], "\n\n") == "one"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


_CUTS = st.lists(st.integers(0, 200), max_size=15)
# Few letters, so that stop sequences and their beginnings do come.
_NARROW = st.text("abß", max_size=30)
_STOP = st.text("abß", min_size=1, max_size=4)
_STOPS = st.lists(_STOP, max_size=3)


@given(st.text(max_size=50), _CUTS)
def test_any_text_comes_out_the_same_however_it_was_cut(text: str, places: list[int]) -> None:
    assert shown(cut(text.encode(), places)) == text


@given(_NARROW, _STOPS, _CUTS)
def test_a_text_without_a_stop_sequence_comes_out_whole(
    text: str, stops: list[str], places: list[int]
) -> None:
    while found := [stop for stop in stops if stop in text]:
        text = text.replace(found[0], "")
    assert shown(cut(text.encode(), places), *stops) == text


@given(_NARROW, _STOP, _NARROW, _STOPS, _CUTS)
def test_a_text_with_a_stop_sequence_is_shown_up_to_one(
    before: str, stop: str, after: str, others: list[str], places: list[int]
) -> None:
    text, stops = before + stop + after, [stop, *others]
    seen = shown(cut(text.encode(), places), *stops)
    assert any(text.startswith(seen + stop) for stop in stops)
    assert not any(stop in seen for stop in stops)


@given(_NARROW, _STOP, _CUTS)
def test_one_stop_sequence_ends_the_text_where_it_first_stands(
    text: str, stop: str, places: list[int]
) -> None:
    assert shown(cut(text.encode(), places), stop) == text.partition(stop)[0]


@given(st.binary(max_size=60), _CUTS)
def test_any_bytes_are_shown_as_a_decoder_shows_them(data: bytes, places: list[int]) -> None:
    assert shown(cut(data, places)) == data.decode(errors="replace")


@pytest.mark.parametrize(("cut", "shown"), [(True, "ab"), (False, "ab\ufffd")])
def test_half_a_character_is_left_out_of_an_answer_that_was_cut(cut: bool, shown: str) -> None:
    stream = TextStream()
    assert stream.feed("ab😀".encode()[:-1]) + stream.finish(cut) == shown
