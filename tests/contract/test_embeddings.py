"""What may be asked of /v1/embeddings, and how the answer looks to OpenAI's clients."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from rbee.contract.embeddings import EmbeddingReply, EmbeddingRequest, EmbeddingRow, Usage
from rbee.contract.errors import InvalidRequest
from rbee.contract.validation import decode


def texts(body: object) -> list[str]:
    return decode(json.dumps(body).encode(), EmbeddingRequest).texts


def refused(body: object) -> dict[str, Any]:
    with pytest.raises(InvalidRequest) as caught:
        texts(body)
    [error] = caught.value.details["errors"]
    return dict(error)


def test_one_text_may_be_asked_for() -> None:
    assert texts({"input": "größer"}) == ["größer"]


def test_many_texts_keep_their_order() -> None:
    assert texts({"input": ["b", "a", "b"]}) == ["b", "a", "b"]


def test_the_most_texts_are_2048() -> None:
    assert len(texts({"input": ["x"] * 2048})) == 2048
    assert "length <= 2048" in refused({"input": ["x"] * 2049})["constraint"]


@pytest.mark.parametrize(
    ("given", "field", "limit", "value"),
    [
        ("", "input", "length >= 1", ""),
        ([], "input", "length >= 1", []),
        (["a", ""], "input[1]", "length >= 1", ""),
        (["a", 7], "input[1]", "str", 7),
        (7, "input", "str", 7),
        (None, "input", "str", None),
        ({"text": "a"}, "input", "str", {"text": "a"}),
    ],
)
def test_a_text_that_is_none_is_named(given: object, field: str, limit: str, value: object) -> None:
    error = refused({"input": given})
    assert (error["field"], error["value"]) == (field, value)
    assert limit in error["constraint"]


def test_a_text_that_is_too_long_is_refused_and_not_repeated() -> None:
    error = refused({"input": "x" * 8_000_001})
    assert error["field"] == "input"
    assert "8000000" in error["constraint"]
    assert len(error["value"]) <= 200


def test_without_a_text_the_field_is_named() -> None:
    assert refused({})["field"] == "input"


def test_a_field_that_is_not_known_is_named() -> None:
    assert refused({"input": "a", "dimensions": 5})["field"] == "dimensions"


def test_the_reply_is_shaped_as_openais() -> None:
    reply = EmbeddingReply("m", [EmbeddingRow(0, [0.6, 0.8])], Usage(3, 3))
    assert json.loads(msgspec.json.encode(reply)) == {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
