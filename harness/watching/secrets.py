"""Where the API key must not stand: argv, environment, URLs, outputs, logs."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

import psutil


def in_processes(secret: str, processes: Iterable[psutil.Process]) -> list[str]:
    found = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if any(secret in word for word in process.cmdline()):
                found.append(f"argv of {process.cmdline()}")
            if any(secret in value for value in process.environ().values()):
                found.append(f"environment of {process.cmdline()}")
    return found


def in_files(secret: str, folder: Path, except_for: Path) -> list[str]:
    """Every file below the folder, but the one that is meant to hold it."""
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and path != except_for and secret.encode() in path.read_bytes()
    ]
