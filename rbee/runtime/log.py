"""Log lines, as text or JSON, each with the correlation id of the request that it belongs to, and
with the name of its key if that has one."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rbee.runtime import safe_text

CORRELATION_HEADER = "X-Correlation-ID"

correlation_id: contextvars.ContextVar[str] = contextvars.ContextVar("correlation_id", default="")
key_name: contextvars.ContextVar[str] = contextvars.ContextVar("key_name", default="")

_A_LINE = r"\d{4}-\d\d-\d\dT|\{"
_LINES_LIKE_OURS = rf"(?m)^(?={_A_LINE})"
_TEXT_LINE = r"\d{4}-\d\d-\d\dT\S+ [A-Z]+ +(?P<logger>\S+) (?:\[\S+\] )?(?P<message>.*)"
_LARGEST = 4 << 20


class _Text(logging.Formatter):
    """A record is a line, perhaps with a traceback below it; nothing in them looks like another."""

    def format(self, record: logging.LogRecord) -> str:
        known, said = correlation_id.get(), record.getMessage()
        if name := key_name.get():
            said = f"key={name} {said}"
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
        head = f"{stamp}.{int(record.msecs):03d} {record.levelname:7} {record.name}"
        line = safe_text.line(f"{head} [{known}] {said}" if known else f"{head} {said}")
        if not record.exc_info:
            return line
        trace = safe_text.lines(self.formatException(record.exc_info))
        return f"{line}\n{re.sub(_LINES_LIKE_OURS, '  ', trace)}"


class _JsonLine(msgspec.Struct):
    logger: str
    message: str


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": safe_text.encodable(record.getMessage()),
            "correlation_id": correlation_id.get(),
        }
        if name := key_name.get():
            line["key"] = name
        if record.exc_info:
            line["exception"] = safe_text.encodable(self.formatException(record.exc_info))
        return safe_text.document(msgspec.json.encode(line).decode())


def set_up(level: str, form: str) -> None:
    """Send this program's log lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def tail(file: Path, lines: int = 20, within: int = 65_536) -> list[str]:
    """The last lines of a log file, or with 0 all, of its last `within` bytes; empty if there
    is none."""
    try:
        with file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - within))
            return log.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def lines_with_id(folder: Path, trace_id: str) -> Iterator[tuple[str, str]]:
    """The lines with a correlation id in all log files of `folder`, each with its file's name. A
    traceback belongs to the line above it. Only the end of a large file is read."""
    for file in sorted(folder.glob("*.log*"), key=_oldest_first):
        belongs = False
        for line in tail(file, 0, _LARGEST):
            if re.match(_A_LINE, line):
                belongs = trace_id in line
            if belongs:
                yield file.name, line


def said_by(logger: str, line: str) -> str:
    """What a line of a log file says if it comes from `logger`, or did not come through our log at
    all; otherwise an empty text."""
    if found := re.match(_TEXT_LINE, line):
        return found["message"].strip() if found["logger"] == logger else ""
    if not line.startswith("{"):
        return line.strip()
    with contextlib.suppress(msgspec.MsgspecError):
        known = msgspec.json.decode(line, type=_JsonLine)
        return known.message if known.logger == logger else ""
    return ""


def uncorrelated() -> contextvars.Context:
    """A context without a correlation id and a key, for a task that outlives the request that
    starts it: what it logs an hour later does not belong to that request."""
    context = contextvars.copy_context()
    context.run(correlation_id.set, "")
    context.run(key_name.set, "")
    return context


def _oldest_first(file: Path) -> tuple[str, int]:
    """Keep a program's files together: NAME.log.2 was written before NAME.log.1."""
    name, _, number = file.name.partition(".log.")
    return name.removesuffix(".log"), -int(number) if number.isdigit() else 0
