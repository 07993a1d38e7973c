"""Server-sent events: whatever the cuts and line ends, the same events come out."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.events import Accepted, Event, Narration, Queued, Token
from rbee.runtime import sse
from rbee.runtime.sse import Parser, Raw


def parse(*chunks: bytes) -> list[Raw]:
    parser = Parser()
    return [raw for chunk in chunks for raw in parser.feed(chunk)]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


_TEXT = st.text(max_size=30)
_EVENTS = st.lists(
    st.one_of(
        st.builds(Token, _TEXT, st.integers(0, 99)),
        st.builds(Accepted, _TEXT),
        st.builds(Queued, st.integers(1, 9), st.integers(1, 9)),
        st.builds(Narration, _TEXT, _TEXT, _TEXT, st.none() | _TEXT, st.none() | _TEXT),
    ),
    max_size=6,
)
_CUTS = st.lists(st.integers(0, 10_000), max_size=20)


@given(_EVENTS, _CUTS)
def test_any_events_come_out_the_same_however_they_were_cut(
    events: list[Event], places: list[int]
) -> None:
    data = b"".join(sse.encode(event) for event in events)
    assert [sse.decode(raw) for raw in parse(*cut(data, places))] == events


def test_an_event_may_have_an_id_which_those_after_it_keep() -> None:
    numbered = sse.encode(sse.Numbered("e-7", Accepted("r")))
    assert numbered == b'id: e-7\nevent: accepted\ndata: {"request_id":"r"}\n\n'
    found = parse(numbered, sse.encode(Accepted("s")), b"id: a\0b\ndata: x\n\nid\ndata: y\n\n")
    assert [raw.id for raw in found] == ["e-7", "e-7", "e-7", ""]


_LINE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=10)
_RAW = st.builds(Raw, _LINE, st.lists(_LINE, min_size=1, max_size=3).map("\n".join))


@given(st.lists(_RAW, max_size=5), st.sampled_from(["\n", "\r", "\r\n"]), _CUTS)
def test_lines_end_with_lf_or_cr_or_crlf(raws: list[Raw], end: str, places: list[int]) -> None:
    lines = []
    for raw in raws:
        data = [f"data: {line}" for line in raw.data.split("\n")]
        lines += [f"event: {raw.event}", *data, ": a comment", ""]
    # A comment follows the last event: a CR at the very end may be half a CRLF.
    text = "".join(line + end for line in lines) + ":"
    assert parse(*cut(text.encode(), places)) == raws


def test_every_cut_of_a_crlf_stream_gives_the_same() -> None:
    data = b"event: token\r\ndata: {}\r\n\r\ndata: [DONE]\r\n\r\n"
    for at in range(len(data) + 1):
        assert parse(data[:at], data[at:]) == [Raw("token", "{}"), Raw("", "[DONE]")]


def test_a_character_cut_in_two_is_whole_again() -> None:
    assert parse(b"data: \xc3", b"\xa9\n\n") == [Raw("", "é")]


def test_nothing_comes_before_the_empty_line() -> None:
    assert parse(b"event: token\ndata: {}\n") == []


def test_a_comment_is_no_event() -> None:
    assert parse(sse.KEEP_ALIVE, b":\n\n") == []


def test_a_comment_within_an_event_is_passed_over() -> None:
    assert parse(b"event: a\n: keep-alive\ndata: 1\n\n") == [Raw("a", "1")]


def test_lines_of_data_are_joined() -> None:
    assert parse(b"data: a\ndata:\ndata:  b\n\n") == [Raw("", "a\n\n b")]


def test_only_one_space_after_the_colon_is_dropped() -> None:
    assert parse(b"data:x\ndata:  y\n\n") == [Raw("", "x\n y")]


def test_a_name_without_data_is_no_event_and_is_forgotten() -> None:
    assert parse(b"event: a\n\ndata: 1\n\n") == [Raw("", "1")]


def test_other_fields_are_passed_over() -> None:
    assert parse(b"colour: 7\nretry: 10\nnonsense\ndata: 1\n\n") == [Raw("", "1")]


def test_bytes_that_are_no_text_break_nothing() -> None:
    assert parse(b"data: \xff\n\n") == [Raw("", "�")]


def test_the_end_mark_is_an_event_without_a_name() -> None:
    assert parse(sse.LAST) == [Raw("", "[DONE]")]


_MIB = b"x" * (1 << 20)


def test_a_line_without_an_end_is_refused_beyond_16_mib() -> None:
    with pytest.raises(ValueError, match="16 MiB"):
        parse(b"data: ", *[_MIB] * 17)


def test_an_event_of_many_lines_is_refused_beyond_16_mib() -> None:
    with pytest.raises(ValueError, match="16 MiB"):
        parse(*[b"data: %s\n" % _MIB] * 17)


def test_an_event_of_15_mib_is_taken() -> None:
    [raw] = parse(b"data: ", *[_MIB] * 15, b"\n\n")
    assert len(raw.data) == 15 << 20


def test_the_limit_is_for_one_event_and_not_for_the_stream() -> None:
    parser = Parser()
    total = sum(len(list(parser.feed(b"data: %s\n\n" % _MIB))) for _ in range(18))
    assert total == 18


def test_an_event_of_a_later_version_is_none() -> None:
    assert sse.decode(Raw("of_a_later_version", "{}")) is None


@pytest.mark.parametrize("data", ["", "{", '{"token":1,"index":0}', "{}"])
def test_data_that_do_not_fit_their_kind_are_an_error(data: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        sse.decode(Raw("token", data))
