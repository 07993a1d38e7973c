"""The pid file of a daemon. It also holds the start time, so that a reused pid is detected."""

from __future__ import annotations

from pathlib import Path

import msgspec

from rbee.contract.daemons import PidFile
from rbee.contract.errors import StateNotWritable
from rbee.runtime import files
from rbee.runtime.kernel import started


def is_running(pid: int, since: float) -> bool:
    """Whether the process that began at `since` still runs under `pid`."""
    found = started(pid)
    return found is not None and abs(found - since) < 1.0


def write(path: Path, content: PidFile) -> None:
    """Write the file, whole or not at all. Raises STATE_NOT_WRITABLE."""
    try:
        files.replace(path, msgspec.json.encode(content) + b"\n")
    except OSError as error:
        raise StateNotWritable(path=str(path), reason=error.strerror) from None


def read(path: Path) -> PidFile | None:
    """The process that the file names, if it still runs."""
    try:
        content = msgspec.json.decode(path.read_bytes(), type=PidFile)
    except (OSError, msgspec.MsgspecError):
        return None
    return content if is_running(content.pid, content.started) else None


def remove(path: Path, pid: int) -> None:
    """Remove the file if it is `pid`'s own."""
    try:
        if msgspec.json.decode(path.read_bytes(), type=PidFile).pid == pid:
            path.unlink()
    except (OSError, msgspec.MsgspecError):
        return
