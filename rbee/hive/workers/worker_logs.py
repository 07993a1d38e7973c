"""The log files of workers: what one said last, and not too many of them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from rbee.contract.daemons import Failed
from rbee.contract.errors import ErrorBody, RbeeError
from rbee.runtime import log, paths
from rbee.runtime.log_file import all_of

WORKER = "llm-worker-rbee"
_KEPT = 20


def last_words(worker_id: str) -> tuple[list[str], RbeeError | None]:
    """The last lines of a worker's log, and the error that it named there itself, if it did."""
    lines = log.tail(paths.log_file(WORKER, worker_id))
    for line in reversed(lines):
        with contextlib.suppress(msgspec.MsgspecError):
            failed = msgspec.json.decode(line, type=Failed)
            return lines, RbeeError.from_body(msgspec.convert(failed.error, ErrorBody))
    return lines, None


def files_of_workers() -> dict[str, Path]:
    """The logs of workers, those that run and those that ran last, by the workers' ids."""
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
