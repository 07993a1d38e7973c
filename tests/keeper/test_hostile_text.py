"""Whatever queen, hives, workers, models and the Hub say, a terminal shows it and nothing else.

Each message of the contract has one hostile text in every field. What is printed has no such
character, and as many lines as with a harmless text: nothing forges a line.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rbee.contract import endpoints as ep
from rbee.contract.endpoints import Endpoint
from rbee.contract.errors import Internal, RbeeError
from rbee.contract.events import NAMES, ErrorEnvelope, Event, Token, Verify
from rbee.contract.logs import LogLine
from rbee.contract.models import ModelDetails, ModelRows
from rbee.contract.nodes import Detected
from rbee.contract.registry import HiveStatus, HiveStatuses
from rbee.contract.workers import NodeWorkerRow, NodeWorkerRows
from rbee.hive.local import commands as of_hive
from rbee.keeper.doctor.findings import Report, problem
from rbee.runtime import listings
from rbee.runtime.error_text import explain
from rbee.runtime.screen import Screen
from tests.hostile import HARMLESS, HOSTILE, filled, forged, unsafe

FakeQueen = Any
Keeper = Callable[..., Any]
# A command, and what the queen answers to it.
LISTINGS: dict[str, Endpoint[Any, Any]] = {
    "worker list": ep.QUEEN_WORKERS,
    "worker list --all": ep.QUEEN_STANDBY,
    "worker health": ep.QUEEN_WORKER_HEALTH,
    "worker stop --id w": ep.QUEEN_WORKER_SHUTDOWN,
    "models list": ep.QUEEN_MODELS,
    "models disk-usage": ep.QUEEN_MODELS,
    "models info a/b": ep.QUEEN_MODEL_INFO,
    "models delete a/b": ep.QUEEN_MODEL_DELETE,
    "setup list-nodes": ep.QUEEN_NODES,
    "setup remove-node --name n": ep.QUEEN_REMOVE_NODE,
    "hive status": ep.QUEEN_HIVES,
    "daemon status": ep.QUEEN_WORKERS,
}
JSON_TOO = [words for words in LISTINGS if "remove-node" not in words]
STREAMS: dict[str, tuple[Endpoint[Any, Any], Any]] = {
    "logs --node n": (ep.QUEEN_LOGS, LogLine),
    "worker start --node n --model a/b": (ep.QUEEN_WORKER_START, NodeWorkerRow),
}


def _prepare(fake_queen: FakeQueen, text: str) -> None:
    for endpoint in LISTINGS.values():
        fake_queen.on(endpoint, filled(endpoint.reply, text))
    for endpoint, kind in STREAMS.values():
        fake_queen.on(endpoint, [filled(kind, text)])
    fake_queen.on(ep.QUEEN_KEEP, filled(ep.QUEEN_KEEP.reply, text))


@pytest.mark.parametrize("words", [*LISTINGS, *STREAMS])
def test_a_listing_shows_what_it_is_given(
    fake_queen: FakeQueen, keeper: Keeper, words: str
) -> None:
    shown = []
    for text in (HARMLESS, HOSTILE):
        _prepare(fake_queen, text)
        done = keeper(*words.split())
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert text == HOSTILE or HARMLESS in done.output, done.output
        shown.append(done.output)
    assert (unsafe(shown[1]), forged(shown[1])) == (set(), [])
    assert "owned" in shown[1] and "[bold]x[/bold]" in shown[1]
    assert shown[1].count("\n") == shown[0].count("\n")


@pytest.mark.parametrize("words", [*JSON_TOO, *STREAMS])
def test_json_means_the_same_and_is_safe(fake_queen: FakeQueen, keeper: Keeper, words: str) -> None:
    _prepare(fake_queen, HOSTILE)
    done = keeper(*words.split(), "--json")
    assert unsafe(done.output) == set()
    found = [json.loads(done.stdout)] if words in JSON_TOO else _lines(done.stdout)
    assert HOSTILE in str(msgspec.to_builtins(found, str_keys=True)) or HOSTILE in _texts(found)


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def _texts(found: Any) -> list[str]:
    if isinstance(found, dict):
        return [text for pair in found.items() for each in pair for text in _texts(each)]
    if isinstance(found, list):
        return [text for each in found for text in _texts(each)]
    return [found] if isinstance(found, str) else []


@pytest.mark.parametrize("kind", NAMES, ids=NAMES.values())
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
def test_every_event_is_safe_to_show(
    kind: type[Event],
    as_json: bool,
    terminal: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if terminal:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    screen = Screen(as_json=as_json, streams=True)
    screen.show(filled(kind))
    screen.close()
    out, err = capsys.readouterr()
    assert (unsafe(out + err), forged(err)) == (set(), [])


@pytest.mark.parametrize("terminal", [False, True])
def test_an_answer_is_safe_on_a_terminal_and_exact_in_a_pipe(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    screen = Screen()
    screen.show(Token(HOSTILE, 0))
    screen.close()
    out = capsys.readouterr().out
    if terminal:
        assert unsafe(out) <= {"\u200b", "\ufeff", "\u2028"}
    else:
        assert out == f"{HOSTILE}\n"


def test_reasoning_is_safe_to_show(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()
    screen.show(Token(HOSTILE, 0, "reasoning"))
    screen.close()
    assert unsafe(capsys.readouterr().err) <= {"\u200b", "\ufeff", "\u2028"}


def _errors(kind: type[RbeeError] = RbeeError) -> list[type[RbeeError]]:
    return [kind, *(each for below in kind.__subclasses__() for each in _errors(below))]


@pytest.mark.parametrize("kind", sorted(_errors(), key=lambda kind: kind.__name__))
@pytest.mark.parametrize(
    "more", [{}, {"hint": HOSTILE}, {"log_tail": [HOSTILE]}, {"node": HOSTILE}]
)
def test_every_error_is_safe_to_show(kind: type[RbeeError], more: dict[str, Any]) -> None:
    details = dict.fromkeys(kind.keys, HOSTILE) | {"correlation_id": HOSTILE} | more
    for error in (kind(HOSTILE, **details), kind(None, **details)):
        told = explain(error)
        assert (unsafe(told), forged(told)) == (set(), [])


def test_an_error_of_a_queen_is_safe_to_show(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_WORKERS, Internal(HOSTILE, correlation_id=HOSTILE, node=HOSTILE))
    done = keeper("worker", "list")
    assert done.exit_code == 1
    assert (unsafe(done.output), forged(done.output)) == (set(), [])


@pytest.mark.parametrize(
    "render",
    [
        lambda text: of_hive.detected_text(filled(Detected, text)),
        lambda text: of_hive.status_text(filled(HiveStatus, text), 1),
        lambda text: of_hive.disk_text(filled(ModelRows, text)),
        lambda text: listings.described(filled(ModelDetails, text), "verify"),
        lambda text: Report.of([problem(text, text, text)]).text(),
    ],
)
def test_a_text_of_several_lines_has_no_line_of_others(
    render: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for text in (HARMLESS, HOSTILE):
        Screen().listing(None, render(text))
        shown.append(capsys.readouterr().out)
    assert HARMLESS in shown[0]
    assert (unsafe(shown[1]), forged(shown[1])) == (set(), [])
    assert shown[1].count("\n") == shown[0].count("\n")


def test_what_is_asked_and_told_is_filled_in_every_field() -> None:
    told = filled(HiveStatuses).hives[0]
    assert (told.node, told.error, told.url) == (HOSTILE, HOSTILE, HOSTILE)
    assert isinstance(filled(Verify), Verify)
    assert filled(NodeWorkerRows).workers[0].model_ref == HOSTILE
    assert filled(ErrorEnvelope).error.details == {HOSTILE: HOSTILE}
