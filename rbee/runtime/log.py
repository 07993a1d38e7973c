"""Log lines, as text or JSON, each with the correlation id of the request that it belongs to."""

from __future__ import annotations

import contextvars
import logging
import os
import sys
import time
from pathlib import Path

import msgspec

CORRELATION_HEADER = "X-Correlation-ID"

correlation_id: contextvars.ContextVar[str] = contextvars.ContextVar("correlation_id", default="")


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        known = correlation_id.get()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
        head = f"{stamp}.{int(record.msecs):03d} {record.levelname:7} {record.name}"
        line = (
            f"{head} [{known}] {record.getMessage()}" if known else f"{head} {record.getMessage()}"
        )
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "correlation_id": correlation_id.get(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def set_up(level: str, form: str) -> None:
    """Send this program's log lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def redirect_output(file: Path) -> None:
    """Point both output descriptors at `file` (0600), for good.

    A parent that reads no more, or is gone, can then neither block this program nor end it.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def tail(file: Path, lines: int = 20) -> list[str]:
    """The last lines of a log file; empty where there is none."""
    try:
        with file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - 65_536))
            return log.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []
