"""`rbee-keeper auth …`: what the queen is asked, what is said where, and the exit code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rbee.contract import endpoints as ep
from rbee.contract.daemons import Ack
from rbee.contract.errors import WrongRole
from rbee.contract.keys import KeyCreated, KeyRow, KeyRows

FakeQueen = Any
Keeper = Callable[..., Any]

ROW = KeyRow(
    name="laptop",
    prefix="rbee_ab12cd34_",
    role="use",
    limit=None,
    queue_limit=None,
    weight=1,
    models=[],
    created_unix=1_700_000_000,
    last_used_unix=None,
)
KEY = f"{ROW.prefix}{'x' * 43}"
MADE = KeyCreated(**msgspec.structs.asdict(ROW), key=KEY)


def test_the_key_alone_goes_to_standard_output(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_KEY_CREATE, MADE)
    done = keeper("auth", "create", "laptop")
    assert (done.exit_code, done.stdout) == (0, f"{KEY}\n")
    assert "laptop may ask models and list them" in done.stderr
    assert "only time that the key is shown" in done.stderr
    assert KEY not in done.stderr


def test_as_json_it_is_the_whole_reply(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_KEY_CREATE, MADE)
    assert json.loads(keeper("auth", "create", "laptop", "--json").stdout) == msgspec.to_builtins(
        MADE
    )


def test_what_is_allowed_is_sent_and_told(fake_queen: FakeQueen, keeper: Keeper) -> None:
    models = ["hf:o/r:Q8_0", "qwen-0.5b"]
    fake_queen.on(ep.QUEEN_KEY_CREATE, msgspec.structs.replace(MADE, limit=3, models=models))
    flags = [word for model in models for word in ("--models", model)]
    done = keeper("auth", "create", "laptop", "--role", "use", "--limit", "3", *flags)
    assert "at most 3 of its tasks at once; only hf:o/r:Q8_0, qwen-0.5b" in done.stderr
    sent = fake_queen.body(ep.QUEEN_KEY_CREATE)
    assert sent == {
        "name": "laptop",
        "role": "use",
        "limit": 3,
        "queue_limit": None,
        "weight": 1.0,
        "models": models,
    }


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["-x"], "-x"),
        ([".x"], "NAME"),
        (["operator"], "NAME"),
        (["a", "--limit", "0"], "--limit"),
        (["a", "--queue-limit", "-1"], "--queue-limit"),
        (["a", "--weight", "0"], "--weight"),
        (["a", "--weight", "nan"], "--weight"),
        (["a", "--role", "admin"], "--role"),
        (["a", "--role", "manage", "--models", "m"], "--models"),
    ],
)
def test_a_wrong_word_is_named_and_nothing_is_asked(
    words: list[str], flag: str, fake_queen: FakeQueen, keeper: Keeper
) -> None:
    done = keeper("auth", "create", *words)
    assert done.exit_code == 2
    assert flag in done.stderr
    assert "regex" not in done.stderr
    assert ep.QUEEN_KEY_CREATE.path not in fake_queen.paths()


def test_the_list_shows_what_each_opens(fake_queen: FakeQueen, keeper: Keeper) -> None:
    boss = msgspec.structs.replace(
        ROW,
        name="boss",
        role="manage",
        limit=2,
        queue_limit=3,
        weight=0.5,
        models=["hf:o/r"],
        last_used_unix=1_700_000_060,
    )
    fake_queen.on(ep.QUEEN_KEYS, KeyRows([boss, ROW]))
    heads, first, second = keeper("auth", "list").stdout.splitlines()
    assert re.split(" {2,}", heads) == [
        *("NAME", "KEY", "ROLE", "LIMIT", "QUEUE LIMIT", "WEIGHT"),
        *("MODELS", "CREATED", "LAST USED"),
    ]
    assert first.split()[:7] == ["boss", "rbee_ab12cd34_…", "manage", "2", "3", "0.5", "hf:o/r"]
    assert second.split()[:7] == ["laptop", "rbee_ab12cd34_…", "use", "none", "none", "1", "all"]
    assert second.endswith("never")


def test_an_empty_list_says_how_to_begin(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_KEYS, KeyRows([]))
    done = keeper("auth", "list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "rbee-keeper auth create NAME" in done.stderr


OF_LAPTOP = msgspec.structs.replace(ep.QUEEN_KEY_CHANGE, path="/v2/keys/laptop")


def test_only_what_is_given_is_changed_and_none_takes_a_limit_away(
    fake_queen: FakeQueen, keeper: Keeper
) -> None:
    fake_queen.on(OF_LAPTOP, msgspec.structs.replace(ROW, queue_limit=0, weight=2.5))
    done = keeper("auth", "change", "laptop", "--limit", "none", "--queue-limit", "0")
    assert fake_queen.body(OF_LAPTOP) == {"limit": None, "queue_limit": 0}
    assert done.stdout == (
        "laptop may ask models and list them; at most 0 of its tasks wait; weight 2.5\n"
    )


def test_a_changed_key_as_json(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(OF_LAPTOP, msgspec.structs.replace(ROW, queue_limit=0, weight=2.5))
    shown = keeper("auth", "change", "laptop", "--weight", "2.5", "--json").stdout
    assert fake_queen.body(OF_LAPTOP) == {"weight": 2.5}
    assert json.loads(shown)["queue_limit"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Say what to change: --limit, --queue-limit or --weight."),
        (["--limit", "0"], "--limit must be a whole number from 1 to 10000, got 0."),
        (["--limit", "some"], "'some' is not a whole number, nor none"),
        (["--queue-limit", "100001"], "--queue-limit must be a whole number from 0 to 100000"),
        (["--weight", "101"], "--weight must be a number from 0.01 to 100, got 101"),
        (["--weight", "none"], "'none' is not a valid float"),
        (["--weight", "nan"], "--weight must be a number"),
    ],
)
def test_what_can_not_be_changed_to_that_is_said(
    words: list[str], said: str, fake_queen: FakeQueen, keeper: Keeper
) -> None:
    done = keeper("auth", "change", "laptop", *words)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert OF_LAPTOP.path not in fake_queen.paths()


def test_revoking_says_what_is_done(fake_queen: FakeQueen, keeper: Keeper) -> None:
    of_laptop = msgspec.structs.replace(ep.QUEEN_KEY_REVOKE, path="/v2/keys/laptop")
    fake_queen.on(of_laptop, Ack("The key laptop is revoked."))
    done = keeper("auth", "revoke", "laptop")
    assert (done.exit_code, done.stdout) == (0, "The key laptop is revoked.\n")


def test_a_key_that_only_uses_is_told_who_can_do_it(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_KEYS, WrongRole(key="laptop", role="use", required="manage"))
    done = keeper("auth", "list")
    assert done.exit_code == 1
    assert "rbee-keeper auth create NAME --role manage" in done.stderr
