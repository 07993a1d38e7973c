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

    `source` is the program that wrote it: `rbee-hive`, or a worker by its id. `node` is filled in
    by the queen. `at` is when, in seconds since the epoch by the node's clock; it never falls from
    a source's line to its next. A line that has no time of its own, as llama.cpp's, has that of the
    line before it. `past` lines were there before the hive was asked.
    """

    source: str
    line: str
    node: str | None = None
    at: float | None = None
    past: bool = False


class LogQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of GET /v1/logs and, with `node`, of /v2/logs: the last `lines` lines of all
    sources together; with `follow` then those that are written."""

    node: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    follow: bool = False
    lines: Annotated[int, Meta(ge=0, le=MOST_LINES)] = 100

    @classmethod
    def of(cls, query: Mapping[str, str]) -> LogQuery:
        """From an address. Raises INVALID_REQUEST."""
        return decode_query(query, cls)
