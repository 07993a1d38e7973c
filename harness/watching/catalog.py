"""The hive's catalog, as SQLite reads it, and the models folder, as the disk has it."""

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


class HasModels(Protocol):
    """A world, or another node of it."""

    @property
    def models(self) -> Path: ...

    home: Path


def database_file(world: HasModels) -> Path:
    return world.home / ".rbee" / "models.db"


def rows(world: HasModels) -> list[dict[str, Any]]:
    return _select(world, "SELECT * FROM models ORDER BY reference")


def integrity_check(database: Path) -> str:
    """Return what SQLite says about the whole file: "ok", or what is wrong."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as found:
        return str(found.execute("PRAGMA integrity_check").fetchone()[0])


def find(world: HasModels, provider: str, reference: str) -> list[dict[str, Any]]:
    """Return the rows with these two values, which together name a model."""
    query = "SELECT * FROM models WHERE provider = ? AND reference = ?"
    return _select(world, query, provider, reference)


def row(world: HasModels, reference: str) -> dict[str, Any]:
    """Return the only row of a model from the Hub."""
    found = find(world, "hf", reference)
    assert len(found) == 1, f"one row for {reference} was expected: {rows(world)}"
    return found[0]


def _select(world: HasModels, query: str, *values: str) -> list[dict[str, Any]]:
    with contextlib.closing(
        sqlite3.connect(f"file:{database_file(world)}?mode=ro", uri=True)
    ) as found:
        found.row_factory = sqlite3.Row
        return [dict(row) for row in found.execute(query, values)]


def pragmas(database: Path) -> tuple[str, int]:
    """Return how it keeps its journal, and the version of its tables."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as found:
        mode, version = (
            found.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "user_version")
        )
    return str(mode), int(version)


def references(database: Path) -> list[str]:
    """Return the references in a catalog, wherever it is."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as found:
        return [name for (name,) in found.execute("SELECT reference FROM models ORDER BY 1")]


def damage(world: World) -> bytes:
    """Overwrite the whole file with noise, as after a disk failure, and return the noise."""
    path = database_file(world)
    noise = random.Random(0).randbytes(path.stat().st_size)
    path.write_bytes(noise)
    for name in ("models.db-wal", "models.db-shm"):
        path.with_name(name).unlink(missing_ok=True)
    return noise


def listed(world: World) -> list[dict[str, Any]]:
    """Return the hive's own list, over HTTP."""
    reply = world.call("GET", f"{world.hive_url}/v1/models")
    assert reply.status == 200, (reply.status, reply.body)
    return list(reply.json["models"])


def notes(world: World) -> list[str]:
    """Return what the hive notes beside its list."""
    return list(world.call("GET", f"{world.hive_url}/v1/models").json["notes"])


def listed_as(world: World, reference: str) -> dict[str, Any]:
    """Return its only row with that reference."""
    found = [row for row in listed(world) if row["reference"] == reference]
    assert len(found) == 1, (reference, listed(world))
    return found[0]


def set_aside_file(world: World) -> Path:
    """Return the file to which the damaged catalog was moved."""
    found = list(database_file(world).parent.iterdir())
    aside = [path for path in found if path.name.startswith("models.db.damaged-")]
    assert len(aside) == 1, f"one file that was set aside was expected: {found}"
    return aside[0]


def partial_files(world: World) -> list[Path]:
    return sorted(world.models.rglob("*.part"))


def only_partial_file(world: World) -> Path:
    found = partial_files(world)
    assert len(found) == 1, f"one partial file was expected: {found}"
    return found[0]


def models_on_disk(world: HasModels) -> list[str]:
    """Return the path of every complete file in the models folder, relative to that."""
    found = world.models.rglob("*.gguf")
    return sorted(str(path.relative_to(world.models)) for path in found)


def place_of(reference: str, world: HasModels) -> str:
    """Return where the file that a reference names lies in the models folder."""
    scheme, _, name = reference.partition(":")
    return name if scheme == "hf" else str(Path(name).relative_to(world.models))


def add_file(world: HasModels, content: Path, name: str) -> Path:
    """Copy it there, as a user with a file manager would."""
    path = world.models / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(content, path)
    return path


def link_file(world: HasModels, content: Path, name: str) -> Path:
    """Link what is too large to be copied."""
    path = world.models / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(content)
    return path


def copy_elsewhere(world: World, content: Path) -> Path:
    """Copy a model to a folder outside of the models folder, which holds nothing else."""
    elsewhere = world.root / "elsewhere"
    elsewhere.mkdir()
    return Path(shutil.copyfile(content, elsewhere / "small.gguf"))


def flip_a_bit(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        (byte,) = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def same_content(path: Path, content: Path) -> bool:
    return path.stat().st_size == content.stat().st_size and sha256(path) == sha256(content)
