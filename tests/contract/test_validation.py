"""Bad requests: the answer names the field, the constraint, the message and the value."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.errors import InvalidRequest
from rbee.contract.tasks import TaskRequest
from rbee.contract.validation import decode, decode_query, explain
from rbee.contract.workers import SpawnRequest


def refused(body: bytes, kind: type = TaskRequest) -> dict[str, Any]:
    with pytest.raises(InvalidRequest) as caught:
        decode(body, kind)
    errors: list[dict[str, Any]] = caught.value.details["errors"]
    assert len(errors) == 1
    assert set(errors[0]) == {"field", "constraint", "message", "value"}
    return errors[0]


@pytest.mark.parametrize(
    ("body", "field", "limit", "value"),
    [
        (b'{"prompt":"x","max_tokens":0}', "max_tokens", ">= 1", 0),
        (b'{"prompt":"x","max_tokens":1000001}', "max_tokens", "<= 1000000", 1_000_001),
        (b'{"prompt":"x","temperature":-0.1}', "temperature", ">= 0", -0.1),
        (b'{"prompt":"x","temperature":"hot"}', "temperature", "float", "hot"),
        (b'{"prompt":"x","top_p":0}', "top_p", "> 0", 0),
        (b'{"prompt":"x","seed":1.5}', "seed", "int", 1.5),
        (b'{"prompt":""}', "prompt", "length >= 1", ""),
        (b'{"prompt":7}', "prompt", "str", 7),
        (b'{"messages":[]}', "messages", "length >= 1", []),
        (b'{"prompt":"x","stop":"a"}', "stop", "array", "a"),
        (b'{"prompt":"x","stop":["a",""]}', "stop[1]", "length >= 1", ""),
        (b'{"messages":[{"role":"user","content":3}]}', "messages[0].content", "str", 3),
        (b'{"messages":[{"role":"","content":""}]}', "messages[0].role", "length >= 1", ""),
    ],
)
def test_a_value_outside_its_limit_is_named(
    body: bytes, field: str, limit: str, value: object
) -> None:
    error = refused(body)
    assert (error["field"], error["value"]) == (field, value)
    assert limit in error["constraint"]
    assert limit in error["message"]


def test_the_error_says_field_and_message_in_its_own_words() -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(b'{"prompt":"x","max_tokens":0}', TaskRequest)
    assert "max_tokens" in caught.value.message
    assert ">= 1" in caught.value.message


def test_an_unknown_field_is_named_with_its_value() -> None:
    error = refused(b'{"prompt":"x","max_token":5}')
    assert (error["field"], error["value"]) == ("max_token", 5)
    assert "unknown" in error["message"]


def test_an_unknown_field_inside_a_message_is_named_with_its_path() -> None:
    error = refused(b'{"messages":[{"role":"u","content":"c"},{"role":"u","content":"c","x":1}]}')
    assert (error["field"], error["value"]) == ("messages[1].x", 1)


def test_a_missing_field_is_named() -> None:
    error = refused(b"{}", SpawnRequest)
    assert (error["field"], error["value"]) == ("model", None)
    assert "missing" in error["message"]


def test_a_missing_field_inside_a_message_is_named_with_its_path() -> None:
    assert refused(b'{"messages":[{"role":"user"}]}')["field"] == "messages[0].content"


def test_no_body_is_an_empty_message() -> None:
    assert refused(b"", SpawnRequest)["field"] == "model"


@pytest.mark.parametrize("body", [b"null", b"[]", b"3", b'"text"'])
def test_a_body_that_is_no_object_is_named_as_the_body(body: bytes) -> None:
    error = refused(body)
    assert error["field"] == "body"
    assert "object" in error["constraint"]


@pytest.mark.parametrize(
    "body", [b"{", b'{"prompt":', b"prompt=x", b"\xff\xfe", b'{"prompt":"\xff"}']
)
def test_what_is_no_json_is_told_so(body: bytes) -> None:
    error = refused(body)
    assert (error["field"], error["constraint"]) == ("body", "json")


def test_a_long_text_is_cut_in_the_error() -> None:
    body = b'{"prompt":"x","node":"%s"}' % (b"n" * 100_000)
    error = refused(body)
    assert error["field"] == "node"
    assert 0 < len(error["value"]) <= 200


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"prompt":"x","max_tokens":0,', id="and cut short"),
        pytest.param(b'{"prompt":"x","seed":-1} }', id="and more after it"),
        pytest.param(b"[" * 100_000, id="nested too deep"),
        pytest.param(b'{"prompt":"x","top_p":1e400}', id="no such number"),
    ],
)
def test_a_body_that_is_wrong_in_two_ways_is_refused_all_the_same(body: bytes) -> None:
    assert refused(body)["message"]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_invalid_request(body: bytes) -> None:
    try:
        assert isinstance(decode(body, TaskRequest), TaskRequest)
    except InvalidRequest as error:
        assert error.details["errors"]


def test_a_long_list_is_cut_in_the_error() -> None:
    error = refused(b'{"prompt":"x","stop":[%s"a"]}' % (b'"a",' * 100_000))
    assert error["field"] == "stop"
    assert len(error["value"]) <= 200


class Query(msgspec.Struct, forbid_unknown_fields=True):
    node: str
    lines: Annotated[int, msgspec.Meta(ge=1)] = 10


def test_a_query_is_read_from_texts() -> None:
    assert decode_query({"node": "blep", "lines": "3"}, Query) == Query("blep", 3)
    assert decode_query({"node": "7"}, Query) == Query("7", 10)


@pytest.mark.parametrize(
    ("query", "field", "constraint", "value"),
    [
        ({"node": "a", "lines": "0"}, "lines", "int >= 1", "0"),
        ({"node": "a", "lines": "many"}, "lines", "int", "many"),
        ({"lines": "1"}, "node", "required", None),
        ({"node": "a", "line": "1"}, "line", "unknown", "1"),
    ],
)
def test_what_is_wrong_in_a_query_is_named(
    query: dict[str, str], field: str, constraint: str, value: str | None
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_query(query, Query)
    [error] = caught.value.details["errors"]
    assert (error["field"], error["value"]) == (field, value)
    assert constraint in error["constraint"]
    assert "`" not in error["constraint"]


def test_an_address_is_told_without_its_password() -> None:
    error = refused(b'{"prompt":"x","seed":"https://me:secret@host/path"}')
    assert error["value"] == "https://…@host/path"


def test_a_value_is_cut_after_two_hundred_characters_and_a_short_list_is_whole() -> None:
    assert refused(b'{"prompt":"x","seed":"%s"}' % (b"n" * 201))["value"] == "n" * 200
    assert refused(b'{"prompt":"x","seed":"%s"}' % (b"n" * 200))["value"] == "n" * 200
    assert refused(b'{"prompt":"x","seed":["%s"]}' % (b"n" * 196))["value"] == ["n" * 196]
    assert (
        refused(b'{"prompt":"x","seed":["%s"]}' % (b"n" * 197))["value"] == '["' + "n" * 197 + '"'
    )
    assert refused(b'{"prompt":"x","seed":{"a":1}}')["value"] == {"a": 1}


@pytest.mark.parametrize(
    ("words", "field", "message"),
    [
        ("Expected `int` >= 1 - at `$.max_tokens`", "max_tokens", "Expected `int` >= 1"),
        ("Expected `object`, got `null`", "body", "Expected `object`, got `null`"),
        (
            "Object contains unknown field `x` - at `$.messages[1]`",
            "messages[1].x",
            "Object contains unknown field `x`",
        ),
        ("Object missing required field `model`", "model", "Object missing required field `model`"),
        ("top_p: Expected a number", "top_p", "Expected a number"),
    ],
)
def test_a_message_of_msgspec_is_taken_apart(words: str, field: str, message: str) -> None:
    assert explain(msgspec.ValidationError(words)) == (field, message)
