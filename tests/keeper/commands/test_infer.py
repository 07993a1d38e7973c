"""`rbee-keeper infer`: the request that its flags make."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rbee.contract import endpoints as ep
from rbee.contract.events import Accepted, Call, Done, Narration, Token
from tests.hostile import HOSTILE, unsafe

FakeQueen = Any
Keeper = Callable[..., Any]

ANSWER = [
    Accepted("r-1"),
    Narration("queen-rbee", "placement: n, because it is idle", "c", "🧭"),
    Token("Once", 0),
    Done(True, 1, 5.0, 1, 0, 1.0, 9.0, "EOS"),
]


@pytest.mark.parametrize("flag", ["force", "explain"])
def test_force_and_explain_are_asked_for_only_when_given(
    fake_queen: FakeQueen, keeper: Keeper, flag: str
) -> None:
    fake_queen.on(ep.QUEEN_TASKS, ANSWER)
    done = keeper("infer", "--prompt", "hi", f"--{flag}")
    assert (done.exit_code, done.stdout) == (0, "Once\n")
    assert "[queen-rbee] 🧭 placement: n, because it is idle" in done.stderr
    asked = fake_queen.body(ep.QUEEN_TASKS)
    assert {name: asked[name] for name in ("force", "explain")} == {
        "force": flag == "force",
        "explain": flag == "explain",
    }
    keeper("infer", "--prompt", "hi")
    asked = fake_queen.body(ep.QUEEN_TASKS)
    assert (asked["force"], asked["explain"], asked["node"]) == (False, False, None)


def test_the_prompt_is_a_message_unless_it_is_raw(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_TASKS, ANSWER)
    keeper("infer", "--prompt", "hi", "--node", "n", "--stop", "a", "--stop", "b")
    asked = fake_queen.body(ep.QUEEN_TASKS)
    assert (asked["prompt"], asked["messages"]) == (None, [{"role": "user", "content": "hi"}])
    assert (asked["node"], asked["stop"]) == ("n", ["a", "b"])
    keeper("infer", "--prompt", "hi", "--raw")
    asked = fake_queen.body(ep.QUEEN_TASKS)
    assert (asked["prompt"], asked["messages"]) == ("hi", None)


def test_a_wrong_value_is_wrong_usage(fake_queen: FakeQueen, keeper: Keeper) -> None:
    done = keeper("infer", "--prompt", "hi", "--max-tokens", "0")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--max-tokens" in done.stderr
    assert fake_queen.asked == []


TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
CALLED = [
    Accepted("r-1"),
    Token("Hm", 0, "reasoning"),
    Token("So", 1),
    Token('{"a": ', 2, "tool_call", Call(0, "c", "now")),
    Token("[1]}", 3, "tool_call", Call(0)),
    Token("{}", 4, "tool_call", Call(1, "d", "now")),
    Done(True, 5, 5.0, 1, 0, 1.0, 9.0, "TOOL_CALLS"),
]


@pytest.mark.parametrize("content", [[TOOL], TOOL])
def test_the_tools_of_a_file_are_offered_and_what_is_called_is_printed(
    fake_queen: FakeQueen, keeper: Keeper, tmp_path: Path, content: object
) -> None:
    (tmp_path / "tools.json").write_text(json.dumps(content))
    fake_queen.on(ep.QUEEN_TASKS, CALLED)
    done = keeper("infer", "--prompt", "hi", "--tools", str(tmp_path / "tools.json"))
    lines = ["So", '{"name":"now","arguments":{"a":[1]}}', '{"name":"now","arguments":{}}', ""]
    assert (done.exit_code, done.stdout.split("\n")) == (0, lines)
    assert "Hm" not in done.stderr
    [asked] = fake_queen.body(ep.QUEEN_TASKS)["tools"]
    assert asked["function"]["name"] == "now"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[{", "is not JSON: Expecting property name enclosed in double quotes: line 1"),
        ("[7]", "tools[0]"),
        ('[{"type": "web_search"}]', "tools[0].type"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_tools_that_are_none_are_wrong_usage(
    fake_queen: FakeQueen, keeper: Keeper, tmp_path: Path, content: str, words: str
) -> None:
    (tmp_path / "tools.json").write_text(content)
    done = keeper("infer", "--prompt", "hi", "--tools", str(tmp_path / "tools.json"))
    assert (done.exit_code, done.stdout, fake_queen.asked) == (2, "", [])
    assert words in done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--raw"], "a raw prompt tells of no tools"),
        (["--interactive"], "--interactive can't be combined with --tools"),
    ],
)
def test_tools_need_a_question(
    fake_queen: FakeQueen, keeper: Keeper, tmp_path: Path, flags: list[str], words: str
) -> None:
    (tmp_path / "tools.json").write_text(json.dumps(TOOL))
    done = keeper("infer", "--prompt", "hi", *flags, "--tools", str(tmp_path / "tools.json"))
    assert (done.exit_code, done.stdout, fake_queen.asked) == (2, "", [])
    assert words in done.stderr


def test_a_call_with_control_characters_is_json_and_safe(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    call = Call(0, "c1", HOSTILE)
    token = Token(json.dumps({HOSTILE: HOSTILE}), 0, "tool_call", call)
    fake_queen.on(ep.QUEEN_TASKS, [Accepted("r-1"), token, CALLED[-1]])
    done = keeper("infer", "--prompt", "hi")
    assert json.loads(done.stdout) == {"name": HOSTILE, "arguments": {HOSTILE: HOSTILE}}
    assert unsafe(done.output) == set()
