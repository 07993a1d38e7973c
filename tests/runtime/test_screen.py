"""What a person sees: of a download a bar on a terminal, tenths elsewhere; of a story its text."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import msgspec
import pytest

from rbee.contract.errors import NodeNotFound
from rbee.contract.events import Download, Event, Narration, Prefill, Token, Verify
from rbee.runtime.screen import Screen

MB = 1_000_000
AGAIN = Download("retrying", attempt=2, attempts=6, delay_ms=100, reason="Connection reset")
Shown = Callable[..., tuple[list[str], list[str]]]


def came(megabytes: float) -> Download:
    return Download("downloading", int(megabytes * MB), 98 * MB, 12.34)


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    """Show events; gives the lines of stdout and of stderr."""

    def show(*events: Event, **how: bool) -> tuple[list[str], list[str]]:
        screen = Screen(**how)
        for event in events:
            screen.show(event)
        screen.close()
        out, err = capsys.readouterr()
        return out.splitlines(), err.splitlines()

    return show


def test_without_a_terminal_each_tenth_of_a_download_is_a_line(shown: Shown) -> None:
    out, err = shown(*(came(quarter / 4) for quarter in range(4 * 98 + 1)))
    assert out == []
    assert len(err) == 10
    assert err[3] == "[model-provisioner] ⬇️ 40 % of 98 MB, 12.3 MB/s"
    assert err[-1].startswith("[model-provisioner] ⬇️ 100 % of 98 MB")


def test_each_tenth_is_told_once_and_not_early(shown: Shown) -> None:
    assert shown(came(9.7))[1] == []
    _, err = shown(came(9.8), came(10), came(19), came(5), came(9.8))
    assert err == ["[model-provisioner] ⬇️ 10 % of 98 MB, 12.3 MB/s"]


def test_a_resumed_download_is_told_from_where_it_is(shown: Shown) -> None:
    _, err = shown(came(50), came(60))
    assert [line.split()[2] for line in err] == ["50", "60"]


def test_a_download_of_unknown_size_is_not_told_in_tenths(shown: Shown) -> None:
    assert shown(Download("downloading", 5, None, 1.0)) == ([], [])


def test_a_retry_is_told_with_its_reason_and_its_pause(shown: Shown) -> None:
    out, err = shown(AGAIN)
    assert out == []
    assert err == ["[model-provisioner] 🔁 Connection reset: attempt 2 of 6 in 100 ms"]


def test_a_verification_is_only_a_bar(shown: Shown) -> None:
    assert shown(Verify("hashing", "/m", 5, 10), Verify("complete", compared=True)) == ([], [])


def test_the_end_of_a_download_prints_nothing(shown: Shown) -> None:
    assert shown(Download("complete", local_path="/m.gguf")) == ([], [])


def test_quiet_prints_none_of_it(shown: Shown) -> None:
    told = Narration("model-provisioner", "words", "c-1", "📦")
    assert shown(told, came(50), AGAIN, quiet=True) == ([], [])


def test_in_json_each_event_is_a_line_on_stdout(shown: Shown) -> None:
    out, _ = shown(came(5), AGAIN, Verify("complete", compared=True), as_json=True)
    told = [msgspec.json.decode(line) for line in out]
    assert [line["event"] for line in told] == ["download", "download", "verify"]
    assert told[0]["data"] == {
        "stage": "downloading",
        "bytes_downloaded": 5 * MB,
        "bytes_total": 98 * MB,
        "speed_mbps": 12.34,
    }
    assert told[2]["data"] == {"stage": "complete", "compared": True}


def test_a_terminal_has_a_bar_and_no_tenths(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    screen.show(came(50))
    assert "downloading ━" in capsys.readouterr().err
    screen.show(AGAIN)
    screen.show(Download("complete", local_path="/m.gguf"))
    err = capsys.readouterr().err
    assert err.endswith("\r\x1b[K")
    assert "attempt 2 of 6 in 100 ms" in err
    assert "[model-provisioner] ⬇️" not in err


def test_how_far_a_prompt_is_read_is_a_bar_that_the_answer_removes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    screen.show(Prefill(1024, 5000, 0))
    assert "reading the prompt ━" in capsys.readouterr().err
    screen.show(Token("Once", 0))
    out, err = capsys.readouterr()
    assert (out, err) == ("Once", "\r\x1b[K")


def test_without_a_terminal_only_json_tells_how_far_a_prompt_is_read(shown: Shown) -> None:
    assert shown(Prefill(1024, 5000, 0)) == ([], [])
    [line], _ = shown(Prefill(1024, 5000, 7), as_json=True)
    assert msgspec.json.decode(line) == {
        "event": "prefill",
        "data": {"tokens_read": 1024, "tokens_total": 5000, "cached": 7},
    }


def test_a_result_is_printed_unless_json_has_said_it(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().result("/models/m.gguf")
    assert capsys.readouterr().out == "/models/m.gguf\n"
    Screen(as_json=True).result("/models/m.gguf")
    assert capsys.readouterr().out == ""


def test_an_answer_is_its_text_or_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().answer([{"a": 1}], "A  1")
    assert capsys.readouterr().out == "A  1\n"
    Screen(as_json=True).answer([{"a": 1}, {"a": 2}], "A  1")
    assert msgspec.json.decode(capsys.readouterr().out) == [{"a": 1}, {"a": 2}]


def test_an_answer_without_text_prints_only_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Screen().answer([], "")
    assert capsys.readouterr().out == ""
    Screen(as_json=True).answer([], "")
    assert capsys.readouterr().out == "[]\n"


@pytest.mark.parametrize(
    ("terminal", "story"),
    [(True, "a\\x1b[2Jb\\x9b\tc\nd\n"), (False, "a\x1b[2Jb\x9b\tc\r\nd\r\n")],
)
def test_a_model_can_not_move_the_cursor_of_a_terminal(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    story: str,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    screen = Screen()
    for part in ("a\x1b[2J", "b\x9b\tc\r\n", "d\r\n"):
        screen.show(Token(part, 0))
    screen.close()
    assert capsys.readouterr().out == story


def test_narration_can_not_move_the_cursor_either(shown: Shown) -> None:
    told = Narration("model-loader", "a model by \x1b[2Jnobody\r", "")
    assert shown(told) == ([], ["[model-loader] a model by \\x1b[2Jnobody\\x0d"])


def test_an_error_is_the_last_event_of_a_stream(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Screen(as_json=True, streams=True).error(NodeNotFound(node="attic"))
    out, err = capsys.readouterr()
    assert out.startswith('{"event":"error","data":{"error":{"code":"NODE_NOT_FOUND"')
    assert out.count("\n") == 1
    assert err.startswith("Error [NODE_NOT_FOUND]")
    Screen(streams=True).error(NodeNotFound(node="attic"))
    assert capsys.readouterr().out == ""
    Screen(as_json=True).error(NodeNotFound(node="attic"))
    assert capsys.readouterr().out == ""


def test_a_note_does_not_break_the_answer_in_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen()
    screen.show(Token("Once upon", 0))
    screen.note("a line")
    screen.show(Token(" a time", 1))
    screen.close()
    out, err = capsys.readouterr()
    assert (out, err) == ("Once upon a time\n", "a line\n")


def test_narration_of_an_event_prints_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(as_json=True)
    screen.narrate(Narration("queen-rbee", "words", ""))
    screen.narrate(Token("Once", 0))
    assert capsys.readouterr() == ("", "[queen-rbee] words\n")


def test_reasoning_is_for_a_person_at_a_terminal(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [Token("Hm\x07", 0, "reasoning"), Token("", 1, "reasoning"), Token("Yes", 1)]
    assert shown(*events) == (["Yes"], [])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(*events) == (["Yes"], ["Hm\\x07"])
    monkeypatch.delenv("NO_COLOR")
    out, err = shown(*events)
    assert out == ["Yes"]
    assert err[0].startswith("\x1b[2mHm") and err[0].endswith("\x1b[0m")
    assert "\x07" not in err[0]
    assert shown(*events, quiet=True) == (["Yes"], [])


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both outputs are a terminal of 40 columns, without colours."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((40, 24)))
    monkeypatch.setattr(sys.stderr, "fileno", lambda: 2)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")


def kept(err: str) -> list[str]:
    """The lines that stay: each was printed after the live line was wiped away, or with none."""
    return [line.rpartition("\x1b[K")[2] for line in err.split("\n")][:-1]


TOLD = [
    Narration("queen-rbee", "starting rbee-hive on localhost", "", "🐝"),
    Narration("model-provisioner", "the Hub says 503", "", "🔁"),
    Narration("queen-rbee", "pool preflight: connecting to a:22, attempt 1 of 3", "", "🔌"),
    Narration("queen-rbee", "worker health: waiting until w is ready", "", "⏳"),
]


def test_a_live_screen_keeps_only_what_went_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_terminal(monkeypatch)
    screen = Screen(is_live=True)
    for event in (*TOLD, Token("Once", 0), Token(" upon", 1)):
        screen.show(event)
    screen.close()
    screen.aside("2 tokens")
    out, err = capsys.readouterr()
    assert out == "Once upon\n"
    assert kept(err) == ["[model-provisioner] 🔁 the Hub says 503", "", "", "2 tokens"]
    assert "\r🐝 starting rbee-hive on localhost\x1b[K" in err
    assert "attempt 1 of 3" not in err


def test_a_first_attempt_is_kept_once_there_is_a_second(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_terminal(monkeypatch)
    screen = Screen(is_live=True)
    for turn in (1, 2, 3):
        screen.show(Narration("queen-rbee", f"dialing, attempt {turn} of 3", "", "🔌"))
    screen.close()
    assert kept(capsys.readouterr().err) == [
        f"[queen-rbee] 🔌 dialing, attempt {turn} of 3" for turn in (1, 2, 3)
    ]


@pytest.mark.parametrize("dumb", [False, True])
def test_without_a_live_line_every_step_is_a_line_of_whole_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, dumb: bool
) -> None:
    on_a_terminal(monkeypatch)
    if dumb:
        monkeypatch.setenv("TERM", "dumb")
    screen = Screen(is_live=dumb)
    for event in (TOLD[0], TOLD[3]):
        screen.show(event)
    assert capsys.readouterr().err.split("\n") == [
        "[queen-rbee] 🐝 starting rbee-hive on",
        "localhost",
        "[queen-rbee] ⏳ worker health: waiting",
        "until w is ready",
        "",
    ]


@pytest.mark.parametrize("is_live", [False, True])
def test_quiet_still_explains_what_it_was_asked_to_explain(
    shown: Shown, monkeypatch: pytest.MonkeyPatch, is_live: bool
) -> None:
    on_a_terminal(monkeypatch)
    why = Narration("queen-rbee", "placement: localhost", "", "🧭")
    assert shown(why, *TOLD, quiet=True, is_live=is_live)[1] == [
        "[queen-rbee] 🧭 placement: localhost"
    ]


def test_an_error_is_red_where_colour_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_terminal(monkeypatch)
    Screen().error(NodeNotFound(node="attic"))
    assert capsys.readouterr().err.startswith("Error [NODE_NOT_FOUND]: ")
    monkeypatch.delenv("NO_COLOR")
    Screen().error(NodeNotFound(node="attic"))
    assert capsys.readouterr().err.startswith("\x1b[31mError [NODE_NOT_FOUND]\x1b[0m: ")
    screen = Screen(is_live=True)
    screen.show(TOLD[0])
    assert capsys.readouterr().err == "\r\x1b[2m🐝 starting rbee-hive on localhost\x1b[0m\x1b[K"
