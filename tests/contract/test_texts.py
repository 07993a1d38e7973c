"""How much text may be asked for at once: a worker can't stop while it takes a text apart."""

from __future__ import annotations

from typing import Any

import pytest

from rbee.contract.errors import InvalidRequest
from rbee.contract.texts import DetokenizeRequest, TokenizeRequest
from rbee.contract.validation import convert


@pytest.mark.parametrize(
    ("kind", "fields", "limit"),
    [
        (TokenizeRequest, {"content": ["a"] * 8193}, "content: array of length <= 8192"),
        (TokenizeRequest, {"content": ["a" * 600_000] * 2}, "content: at most 1000000 characters"),
        (TokenizeRequest, {"content": "a" * 1_000_001}, "content: str of length <= 1000000"),
        (DetokenizeRequest, {"tokens": [1] * 500_001}, "tokens: array of length <= 500000"),
    ],
)
def test_more_text_than_is_read_in_seconds_is_refused_with_what_is_allowed(
    kind: type[Any], fields: dict[str, Any], limit: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        convert(fields, kind)
    [error] = caught.value.details["errors"]
    assert f"{error['field']}: {error['constraint']}".startswith(limit)


def test_a_text_and_many_ids_are_allowed() -> None:
    content = ["a" * 1_000_000, *[1] * 8191]
    assert convert({"content": content}, TokenizeRequest).content == content
