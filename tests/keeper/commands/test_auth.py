"""`rbee-keeper auth …`: what the queen is asked, what is said where, and the exit code."""

from __future__ import annotations

import json
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
    assert sent == {"name": "laptop", "role": "use", "limit": 3, "models": models}


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["-x"], "-x"),
        ([".x"], "NAME"),
        (["operator"], "NAME"),
        (["a", "--limit", "0"], "--limit"),
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
        ROW, name="boss", role="manage", limit=2, models=["hf:o/r"], last_used_unix=1_700_000_060
    )
    fake_queen.on(ep.QUEEN_KEYS, KeyRows([boss, ROW]))
    heads, first, second = keeper("auth", "list").stdout.splitlines()
    assert heads.split() == ["NAME", "KEY", "ROLE", "LIMIT", "MODELS", "CREATED", "LAST", "USED"]
    assert first.split()[:5] == ["boss", "rbee_ab12cd34_…", "manage", "2", "hf:o/r"]
    assert second.split()[:5] == ["laptop", "rbee_ab12cd34_…", "use", "none", "all"]
    assert second.endswith("never")


def test_an_empty_list_says_how_to_begin(fake_queen: FakeQueen, keeper: Keeper) -> None:
    fake_queen.on(ep.QUEEN_KEYS, KeyRows([]))
    done = keeper("auth", "list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "rbee-keeper auth create NAME" in done.stderr


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
