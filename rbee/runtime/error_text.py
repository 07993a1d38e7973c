"""Errors as a person reads them. One renderer for all four programs."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rbee.contract.errors import Internal, RbeeError
from rbee.contract.events import Download
from rbee.runtime import debug_trace, log, paths, safe_text

_LAST_WORDS = 5
_ASYNCIO_S = "Connect call failed|Multiple exceptions"
_NUMBER = r"\[Errno (\d+)\]"
_MB = 1_000_000
# What a daemon logs while all is well does not explain why it ended.
_ROUTINE = r'^\S+ (INFO|DEBUG) |"level":"(info|debug)"|^\s*$'


def explain(error: RbeeError, trace_id: str = "") -> str:
    """The message; below it what to do next, then the cause, if the details say more than the
    message; at the end the correlation id with which the logs have it."""
    message = _indented("\n".join(_without_traceback(error.message.split("\n"))))
    lines = [f"Error [{error.code}]: {message}"]
    if advice := error.advice:
        lines.append(f"→ {_indented(advice)}")
    lines += [f"  {_indented(line)}" for line in _more(error.details, said="\n".join(lines))]
    if trace_id := str(error.details.get("correlation_id") or trace_id):
        lines.append(f"  correlation id: {_indented(trace_id)}")
    return safe_text.lines("\n".join(lines))


def _indented(text: str) -> str:
    """A text of models, other programs and other machines: none of its lines may look like ours."""
    return text.replace("\n", "\n  ")


def strerror(error: OSError) -> str:
    """The system's message; asyncio adds its own, with an address as a Python tuple."""
    words = error.strerror or str(error) or type(error).__name__
    if re.match(_ASYNCIO_S, words) is None:
        return words
    number = error.errno or int((re.search(_NUMBER, words) or [0, 0])[1])
    return os.strerror(number) if number else "no connection"


def is_refused(error: OSError) -> bool:
    """Whether a connection was refused, at every address that the name has: asyncio tells of
    several in one text."""
    numbers = {error.errno} if error.errno else {*map(int, re.findall(_NUMBER, str(error)))}
    return numbers == {errno.ECONNREFUSED}


def visible_correlation_id() -> str:
    """The correlation id to show with an error; empty if no daemon has logged anything with it."""
    of_command = debug_trace.current()
    return of_command.trace_id if of_command is not None and of_command.heard else ""


def show_trace(error: RbeeError, logs: Path) -> None:
    """What `--debug` adds to an error: its lines in this machine's logs, and its causes."""
    of_command = debug_trace.current()
    if of_command is None or not of_command.is_shown:
        return
    of_command.note(f"the command failed; correlation id {of_command.trace_id}")
    for name, line in log.lines_with_id(logs, of_command.trace_id):
        of_command.add(f"{name}: {line}")
    for link in _chain(error):
        of_command.add(
            "".join(traceback.format_exception(type(link), link, link.__traceback__, chain=False))
        )


def unexpected(program: str, fault: Exception) -> Internal:
    """A bug of ours in a command: the traceback goes to a log, its correlation id to the person."""
    trace_id = log.correlation_id.get()
    with (
        contextlib.suppress(RbeeError, OSError),
        open(paths.log_file(program), "a", encoding="utf-8", opener=_private) as file,
    ):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
        trace = safe_text.lines("".join(traceback.format_exception(fault)))
        file.write(f"{stamp}.000 ERROR   {program} [{trace_id}] the command failed\n{trace}")
    return Internal(correlation_id=trace_id)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def retrying(news: Download) -> str:
    """Why a download is retried, and when."""
    delay = news.delay_ms or 0
    when = f"{delay} ms" if delay < 10_000 else f"{delay / 1000:.0f} s"
    return f"{news.reason}: attempt {news.attempt} of {news.attempts} in {when}"


def _more(details: Mapping[str, Any], said: str) -> Iterator[str]:
    """The cause, in lines, except for what `said` contains. Details may lack anything, and may be
    anything: they come over the wire."""
    tail = _without_traceback(_texts(details, "log_tail"))
    words = [line for line in tail if not re.search(_ROUTINE, line)]
    if words:
        yield "the end of its log:"
        yield from (f"  {line.strip()}" for line in words[-_LAST_WORDS:])
    workers = _texts(details, "workers")
    if any(worker not in said for worker in workers):
        yield f"held by {', '.join(workers)}"
    done, total = details.get("bytes_downloaded"), details.get("bytes_total")
    if isinstance(done, int) and isinstance(total, int) and total:
        yield f"{done / _MB:.0f} of {total / _MB:.0f} MB downloaded"
    forms = _texts(details, "forms")
    if any(form not in said for form in forms):
        yield "a model reference has one of these forms:"
        yield from (f"  {form}" for form in forms)


def _without_traceback(lines: Sequence[str]) -> list[str]:
    """The lines, with each traceback reduced to its last line, which names the exception; `--debug`
    shows the rest."""
    left: list[str] = []
    inside = False
    for line in lines:
        inside = line.startswith("Traceback (") or (inside and line.startswith(" "))
        if not inside:
            left.append(line)
    return left


def _texts(details: Mapping[str, Any], name: str) -> list[str]:
    found = details.get(name)
    return [str(each) for each in found] if isinstance(found, list) else []


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, the first cause first, including those usually hidden."""
    causes: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in causes:
        causes.append(link)
        link = link.__cause__ or link.__context__
    yield from reversed(causes)
