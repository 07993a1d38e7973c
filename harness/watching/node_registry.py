"""The queen's registry of nodes, as SQLite reads it."""

import contextlib
import json
import sqlite3
import time
import tomllib
from typing import Any

from harness.world.world import World

_STRUCTURED = ("backends", "devices")
_FLAGS = ("tunnel", "wake")


def rows(world: World) -> list[dict[str, Any]]:
    """Return the rows by name, none if there is no file, with JSON columns decoded."""
    file = world.home / ".rbee" / "beehives.db"
    if not file.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as found:
        found.row_factory = sqlite3.Row
        rows = [dict(row) for row in found.execute("SELECT * FROM beehives ORDER BY node_name")]
    for row in rows:
        for name in _STRUCTURED:
            row[name] = json.loads(row[name] or "null")
        for name in _FLAGS:
            row[name] = bool(row[name])
    return rows


def only_row(world: World) -> dict[str, Any]:
    found = rows(world)
    assert len(found) == 1, f"one node was expected: {found}"
    return found[0]


def in_config_file(text: str, node: str) -> Any:
    """Return the section [nodes.NAME] of a config file."""
    return tomllib.loads(text)["nodes"][node]


def from_json(stdout: str) -> Any:
    """Return what `--json` printed."""
    return json.loads(stdout)


def parse_value(text: str) -> Any:
    """Return `true`, `9200` or `["cpu"]` as JSON has them, and everything else as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def seconds_ago(moment_unix: float) -> float:
    return time.time() - moment_unix


def current_minutes(hours: int) -> list[str]:
    """Return this minute as a clock shows it that is so many hours ahead of UTC, and the one
    before, which may just have ended."""
    now = time.time() + 3600 * hours
    return [time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment)) for moment in (now, now - 60)]
