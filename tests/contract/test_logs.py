"""What may be asked of a log."""

from __future__ import annotations

from typing import Any

import pytest

from rbee.contract.errors import InvalidRequest
from rbee.contract.logs import MOST_LINES, LogQuery


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ({}, LogQuery()),
        ({"follow": "true", "lines": "0"}, LogQuery(follow=True, lines=0)),
        ({"follow": "1", "node": "a"}, LogQuery("a", follow=True)),
        ({"follow": "false", "lines": str(MOST_LINES)}, LogQuery(lines=MOST_LINES)),
    ],
)
def test_a_query_is_read(query: dict[str, str], asked: LogQuery) -> None:
    assert LogQuery.of(query) == asked


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"lines": "10001"}, "lines"),
        ({"lines": "-1"}, "lines"),
        ({"lines": "many"}, "lines"),
        ({"follow": "perhaps"}, "follow"),
        ({"node": ""}, "node"),
        ({"tail": "1"}, "tail"),
    ],
)
def test_what_can_not_be_is_named(query: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        LogQuery.of(query)
    assert [each["field"] for each in error.value.details["errors"]] == [field]
