"""The hive's catalog, as SQLite itself reads it, and the models folder, as the disk has it."""

import contextlib
import hashlib
import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any, Protocol

from harness.world.world import World

COLUMNS = {
    "id",
    "provider",
    "reference",
    "local_path",
    "size_bytes",
    "downloaded_at_unix",
    "quantization",
    "sha256",
}


class Place(Protocol):
    """A world, or another node of it."""

    @property
    def models(self) -> Path: ...

    home: Path


def file_of(world: Place) -> Path:
    return world.home / ".rbee" / "models.db"


def rows(world: Place) -> list[dict[str, Any]]:
    return _select(world, "SELECT * FROM models ORDER BY reference")


def verdict_on(database: Path) -> str:
    """What SQLite says of a file as a whole: "ok", or what is wrong with it."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as found:
        return str(found.execute("PRAGMA integrity_check").fetchone()[0])


def find(world: Place, provider: str, reference: str) -> list[dict[str, Any]]:
    """By the two columns that name a model."""
    query = "SELECT * FROM models WHERE provider = ? AND reference = ?"
    return _select(world, query, provider, reference)


def row(world: Place, reference: str) -> dict[str, Any]:
    """The only one, of a model from the Hub."""
    found = find(world, "hf", reference)
    assert len(found) == 1, f"one row for {reference} was expected: {rows(world)}"
    return found[0]


def _select(world: Place, query: str, *values: str) -> list[dict[str, Any]]:
    with contextlib.closing(sqlite3.connect(f"file:{file_of(world)}?mode=ro", uri=True)) as found:
        found.row_factory = sqlite3.Row
        return [dict(row) for row in found.execute(query, values)]


def damage(world: World) -> bytes:
    """Noise over the whole file, as after a disk's death; what it holds now."""
    path = file_of(world)
    noise = random.Random(0).randbytes(path.stat().st_size)
    path.write_bytes(noise)
    for name in ("models.db-wal", "models.db-shm"):
        path.with_name(name).unlink(missing_ok=True)
    return noise


def put_aside(world: World) -> Path:
    """The damaged catalog."""
    found = list(file_of(world).parent.iterdir())
    aside = [path for path in found if path.name.startswith("models.db.damaged-")]
    assert len(aside) == 1, f"one file put aside was expected: {found}"
    return aside[0]


def partials(world: World) -> list[Path]:
    return sorted(world.models.rglob("*.part"))


def partial(world: World) -> Path:
    found = partials(world)
    assert len(found) == 1, f"one partial file was expected: {found}"
    return found[0]


def models_on_disk(world: Place) -> list[str]:
    """Every finished file below the models folder, by its path in there."""
    found = world.models.rglob("*.gguf")
    return sorted(str(path.relative_to(world.models)) for path in found)


def place(world: World, content: Path, name: str) -> Path:
    """As a person with a file manager does."""
    path = world.models / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(content, path)
    return path


def link(world: World, content: Path, name: str) -> Path:
    """For what is too large to be copied."""
    path = world.models / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(content)
    return path


def flip_a_bit(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        (byte,) = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def same(path: Path, content: Path) -> bool:
    return path.stat().st_size == content.stat().st_size and sha256(path) == sha256(content)
