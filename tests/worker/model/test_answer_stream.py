"""The pieces of an answer, from the bytes of its tokens."""

from __future__ import annotations

import pytest

from rbee.contract.tasks import Function, Tool
from rbee.worker.model.answer_stream import AnswerStream
from rbee.worker.model.tool_formats.parser import Form, form_of
from rbee.worker.model.tool_formats.source import Piece

TOOLS = [Tool(Function("now"))]
CALL = '<tool_call>{"name": "now", "arguments": {"a": "Ü stop"}}</tool_call>'


def form(template: str = "{{ tools }} <tool_call> <think>", most: int | None = None) -> Form:
    found = form_of(template, "", lambda _: False, TOOLS, most=most)
    assert found is not None
    return found


def merged(pieces: list[Piece]) -> list[tuple[str, str]]:
    said: list[tuple[str, str]] = []
    for piece in pieces:
        if said and said[-1][0] == piece.channel:
            said[-1] = (piece.channel, said[-1][1] + piece.text)
        else:
            said.append((piece.channel, piece.text))
    return said


def fed(stream: AnswerStream, text: str) -> list[tuple[str, str]]:
    """Byte by byte, as far as it goes."""
    pieces: list[Piece] = []
    for byte in text.encode():
        pieces += stream.feed(bytes([byte]))
        if stream.stopped or stream.full:
            break
    return merged(pieces + stream.finish())


def test_without_a_form_everything_is_text() -> None:
    text = f"<think>Ü</think>{CALL}"
    assert fed(AnswerStream(), text) == [("text", text)]
    assert not AnswerStream().has_marks


def test_channels_come_apart_whole_characters_only() -> None:
    stream = AnswerStream((), form())
    said = fed(stream, f"<think>Ö</think>\n\nÄ {CALL}")
    arguments = '{"a": "Ü stop"}'
    assert said == [("reasoning", "Ö"), ("text", "Ä"), ("tool_call", arguments)]
    assert stream.called and not stream.full


def test_only_text_is_stopped() -> None:
    stream = AnswerStream(["stop", "nd"], form())
    said = fed(stream, f"<think>stop</think>sto{CALL}p. The end.")
    assert said == [
        ("reasoning", "stop"),
        ("text", "sto"),
        ("tool_call", '{"a": "Ü stop"}'),
        ("text", "p. The e"),
    ]
    assert stream.stopped


def test_what_might_have_been_a_stop_comes_out_at_the_end() -> None:
    assert fed(AnswerStream(["stop"], form()), "a sto") == [("text", "a sto")]
    assert fed(AnswerStream(["stop"]), "a sto") == [("text", "a sto")]


def test_nothing_follows_the_last_call_that_may_come() -> None:
    stream = AnswerStream((), form(most=1))
    assert fed(stream, f"{CALL}{CALL}") == [("tool_call", '{"a": "Ü stop"}')]
    assert stream.full


@pytest.mark.parametrize("cut", [True, False])
def test_half_a_character_is_shown_only_where_nothing_can_follow(cut: bool) -> None:
    stream = AnswerStream((), form())
    assert stream.feed(b"a\xc3") == [Piece("a")]
    assert stream.finish(cut) == ([] if cut else [Piece("\ufffd")])


def test_control_tokens_are_marks_that_no_one_sees() -> None:
    stream = AnswerStream((), form("{{ tools }} [TOOL_CALLS] [THINK]"))
    pieces = stream.feed(b"", b"[THINK]") + stream.feed(b"Hm") + stream.feed(b"", b"[/THINK]")
    pieces += stream.feed(b"A") + stream.feed(b"", b"<pad>") + stream.feed(b"", b"[TOOL_CALLS]")
    pieces += stream.feed(b"now[") + stream.feed(b"", b"[ARGS]") + stream.finish()
    assert merged(pieces) == [("reasoning", "Hm"), ("text", "Anow[")]


def test_half_a_call_is_left_out_of_an_answer_that_was_cut() -> None:
    half = 'Wait. <tool_call>{"name": "no'
    for cut, said in ((True, [("text", "Wait.")]), (False, [("text", half)])):
        stream = AnswerStream((), form())
        assert merged(stream.feed(half.encode()) + stream.finish(cut)) == said
