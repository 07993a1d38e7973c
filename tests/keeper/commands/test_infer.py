"""`rbee-keeper infer`: the request that its flags make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rbee.contract import endpoints as ep
from rbee.contract.events import Accepted, Done, Narration, Token

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
