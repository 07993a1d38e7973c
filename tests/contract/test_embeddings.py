"""What may be asked of /v1/embeddings and /v1/rerank, and how the answers look to clients."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from rbee.contract.embeddings import (
    EmbeddingReply,
    EmbeddingRequest,
    EmbeddingRow,
    RerankReply,
    RerankRequest,
    RerankResult,
    Usage,
)
from rbee.contract.errors import InvalidRequest
from rbee.contract.validation import decode


def texts(body: object) -> list[str | list[int]]:
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
    assert "at most 2048 texts" in refused({"input": ["x"] * 2049})["constraint"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([7, 0, 7], [[7, 0, 7]]),
        ([[7, 0], [1]], [[7, 0], [1]]),
        (["a", [1]], ["a", [1]]),
        ([1] * 3000, [[1] * 3000]),
    ],
)
def test_a_text_may_be_the_ids_of_its_tokens(given: object, wanted: object) -> None:
    assert texts({"input": given}) == wanted


@pytest.mark.parametrize(
    ("given", "field", "limit", "value"),
    [
        ("", "input", "length >= 1", ""),
        ([], "input", "length >= 1", []),
        (["a", ""], "input[1]", "length >= 1", ""),
        (["a", 7], "input", "not both", ["a", 7]),
        ([7, [7]], "input", "not both", [7, [7]]),
        ([-1], "input[0]", "int >= 0", -1),
        ([[1, 2**31]], "input[0][1]", "int <= 2147483647", 2**31),
        ([1.5], "input[0]", "str", 1.5),
        ([[]], "input[0]", "length >= 1", []),
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
    assert refused({"input": "a", "normalize": True})["field"] == "normalize"


@pytest.mark.parametrize(
    ("field", "value"),
    [("encoding_format", "int8"), ("dimensions", 0), ("dimensions", 1.5), ("model", 3)],
)
def test_a_field_of_openais_with_another_value_is_named(field: str, value: object) -> None:
    assert refused({"input": "a", field: value})["field"] == field


def test_the_reply_is_shaped_as_openais() -> None:
    reply = EmbeddingReply("m", [EmbeddingRow(0, [0.6, 0.8])], Usage(3, 3))
    assert json.loads(msgspec.json.encode(reply)) == {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"documents": ["a"]}, "query"),
        ({"query": "", "documents": ["a"]}, "query"),
        ({"query": "a"}, "documents"),
        ({"query": "a", "documents": []}, "documents"),
        ({"query": "a", "documents": "b"}, "documents"),
        ({"query": "a", "documents": ["b", ""]}, "documents[1]"),
        ({"query": "a", "documents": ["b"] * 2049}, "documents"),
        ({"query": "a", "documents": ["b"], "top_n": 0}, "top_n"),
        ({"query": "a", "documents": ["b"], "texts": ["b"]}, "texts"),
    ],
)
def test_what_is_wrong_with_a_request_for_scores_is_named(body: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(json.dumps(body).encode(), RerankRequest)
    assert [error["field"] for error in caught.value.details["errors"]] == [field]


def test_scores_are_shaped_as_those_of_jina_and_of_llama_cpp() -> None:
    reply = RerankReply("m", [RerankResult(1, 0.5), RerankResult(0, -2.0)], Usage(9, 9))
    assert json.loads(msgspec.json.encode(reply)) == {
        "object": "list",
        "model": "m",
        "results": [
            {"index": 1, "relevance_score": 0.5},
            {"index": 0, "relevance_score": -2.0},
        ],
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    }
