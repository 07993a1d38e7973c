"""Messages about keys: names, roles, limits, models."""

from __future__ import annotations

import msgspec
import pytest

from rbee.contract.errors import InvalidRequest
from rbee.contract.keys import ChangeKey, CreateKey
from rbee.contract.validation import decode


def made(**fields: object) -> CreateKey:
    return decode(msgspec.json.encode({"name": "laptop", **fields}), CreateKey)


def test_a_key_uses_everything_and_manages_nothing_unless_told() -> None:
    assert made() == CreateKey(name="laptop", role="use", limit=None, models=[])
    assert (made().queue_limit, made().weight) == (None, 1.0)


@pytest.mark.parametrize("name", ["a", "Anna.s-laptop_2", "9", "a" * 63, "Operator"])
def test_these_are_names(name: str) -> None:
    assert made(name=name).name == name


@pytest.mark.parametrize(
    "name", ["", ".a", "-a", "a b", "a/b", "ä", "a\n", "a" * 64, "operator", None, 3]
)
def test_these_are_not(name: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        made(name=name)
    assert caught.value.details["errors"][0]["field"] == "name"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "admin"),
        ("role", None),
        ("limit", 0),
        ("limit", 10_001),
        ("limit", 1.5),
        ("queue_limit", -1),
        ("queue_limit", 100_001),
        ("weight", 0),
        ("weight", 100.1),
        ("weight", None),
        ("models", [""]),
        ("models", ["m"] * 257),
        ("models", "m"),
        ("key", "rbee_mine"),
    ],
)
def test_a_wrong_value_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        made(**{field: value})
    assert caught.value.details["errors"][0]["field"].startswith(field)


def test_a_key_that_manages_loads_any_model_so_a_list_would_promise_too_much() -> None:
    with pytest.raises(InvalidRequest) as caught:
        made(role="manage", models=["hf:o/r"])
    assert caught.value.details["errors"][0]["field"] == "models"
    assert made(role="manage", limit=3).limit == 3


def changed(**fields: object) -> dict[str, int | float | None]:
    return decode(msgspec.json.encode(fields), ChangeKey).changes


def test_a_limit_that_is_null_is_taken_away_and_one_that_is_not_given_stays() -> None:
    assert changed(limit=None) == {"limit": None}
    assert changed(queue_limit=0, weight=2) == {"queue_limit": 0, "weight": 2.0}


@pytest.mark.parametrize("fields", [{}, {"weight": None}, {"limit": 0}, {"role": "manage"}])
def test_a_change_changes_something_that_can_be_changed(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        changed(**fields)
