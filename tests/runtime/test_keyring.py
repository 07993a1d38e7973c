"""The operator's key alone, and what is public of a named one."""

from __future__ import annotations

import hashlib

import pytest

from rbee.runtime.keyring import OPERATOR, OneKey, digest_of, id_of

NAMED = "rbee_ab12cd34_" + "x" * 43


def test_one_key_is_the_operators() -> None:
    keys = OneKey("the-key")
    assert keys.caller("the-key") is OPERATOR
    assert [keys.caller(key) for key in ("the-ke", "the-key2", "THE-KEY", "", "\udcff")] == [
        None
    ] * 5
    assert keys.digest("") == digest_of("the-key") == hashlib.sha256(b"the-key").digest()
    assert keys.digest("ab12cd34") is None


def test_a_key_of_the_named_form_is_found_by_its_id() -> None:
    assert OneKey(NAMED).digest("ab12cd34") == digest_of(NAMED)
    assert OneKey(NAMED).digest("") is None


@pytest.mark.parametrize(
    ("key", "key_id"),
    [
        (NAMED, "ab12cd34"),
        (NAMED + "x", ""),
        (NAMED[:-1], ""),
        (NAMED.upper(), ""),
        (NAMED + "\n", ""),
        ("rbee_ab12cd34", ""),
        ("", ""),
    ],
)
def test_only_a_whole_named_key_has_an_id(key: str, key_id: str) -> None:
    assert id_of(key) == key_id
