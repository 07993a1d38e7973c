"""Messages about logs: what the programs of a node wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from rbee.contract.validation import decode_query

MOST_LINES = 10_000


class LogLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `log` event: one line, as it was written.

    `source` is the program that wrote it: `rbee-hive`, or a worker by its id. The queen fills in
    `node`. `at` is when, in seconds since the epoch by the node's clock; it never decreases within
    a source. A line without a time of its own, such as llama.cpp's, has that of the line before.
    `past` lines were written before the request.
    """

    source: str
    line: str
    node: str | None = None
    at: float | None = None
    past: bool = False


class LogQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of GET /v1/logs and, with `node`, of /v2/logs: the last `lines` lines of all
    sources together, then, with `follow`, every new line."""

    node: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    follow: bool = False
    lines: Annotated[int, Meta(ge=0, le=MOST_LINES)] = 100

    @classmethod
    def of(cls, query: Mapping[str, str]) -> LogQuery:
        """From the query of a URL. Raises INVALID_REQUEST."""
        return decode_query(query, cls)
