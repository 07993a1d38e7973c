"""The log files of workers: the last output of one, and how many of them are kept."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from rbee.contract.daemons import Failed
from rbee.contract.errors import ErrorBody, RbeeError
from rbee.hive.workers.worker_program import WORKER
from rbee.runtime import log, paths
from rbee.runtime.log_file import all_of

_KEPT = 20
_LLAMA = "llama-cpp"


def last_output(worker_id: str) -> tuple[list[str], RbeeError | None]:
    """The last lines of a worker's log, and the error that the worker reported there, if any."""
    lines = log.tail(paths.log_file(WORKER, worker_id))
    for line in reversed(lines):
        with contextlib.suppress(msgspec.MsgspecError):
            failed = msgspec.json.decode(line, type=Failed)
            return lines, RbeeError.from_body(msgspec.convert(failed.error, ErrorBody))
    return lines, None


def last_line_of_llama(lines: list[str]) -> str | None:
    """The last line that llama.cpp wrote: through our log, or past it, as when it aborts."""
    for line in reversed(lines):
        said = log.said_by(_LLAMA, line)
        if said:
            return said
    return None


def files_of_workers() -> dict[str, Path]:
    """The logs of the workers that run and of those that ran last, by worker id."""
    folder = paths.log_file(WORKER).parent
    found = folder.glob(f"{WORKER}-*.log")
    return {path.stem.removeprefix(f"{WORKER}-"): path for path in found}


def prune() -> None:
    """Keep the newest twenty logs of workers."""
    found = sorted(files_of_workers().values(), key=_age)
    for old in found[_KEPT:]:
        for file in all_of(old):
            file.unlink(missing_ok=True)


def _age(file: Path) -> float:
    try:
        return -file.stat().st_mtime
    except OSError:
        return 0.0
