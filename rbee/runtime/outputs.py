"""Standard output and standard error, and what happens when nobody reads them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from rbee.contract.errors import StateNotWritable
from rbee.runtime import plain_text


def prepare() -> None:
    """Make both streams usable. If the program was started with `>&-` or `2>&-`, what is written
    there does not go into the next file that is opened: on standard output it is an error, as an
    answer must not be lost without a word, and on standard error it is dropped."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:  # one that can't be written: EBADF
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    # A terminal that can't show a character shows a substitute, and the output goes on.
    plain_text.register()
    for stream, way in ((sys.stdout, plain_text.ANSWER), (sys.stderr, plain_text.ELSEWHERE)):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=way)


def write(text: str) -> None:
    """Write to standard output and flush it. Raises BrokenPipeError when its reader or terminal is
    gone, and STATE_NOT_WRITABLE for any other failure."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _discard(sys.stdout)
        if error.errno in (errno.EPIPE, errno.EIO):
            raise BrokenPipeError(error.errno, error.strerror) from None
        reason = "it is closed" if error.errno == errno.EBADF else error.strerror
        raise StateNotWritable(
            f"Standard output can't be written: {reason}.",
            path="standard output",
            reason=reason,
            hint="Send it elsewhere, or make room there, and run the command again.",
        ) from None


def write_error(text: str) -> None:
    """Write to standard error and flush it. A failure is ignored: nobody reads it."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)


@contextlib.contextmanager
def on_reader_gone(callback: Callable[[], None]) -> Iterator[None]:
    """Call `callback` as soon as the reader of a pipe on standard output is gone. Waiting for the
    next write to fail could load a model for nobody."""
    loop = asyncio.get_running_loop()
    descriptor = _stdout_pipe()
    if descriptor is None:
        yield
        return

    def gone() -> None:
        loop.remove_reader(descriptor)
        callback()

    # Only this makes the writing end readable; asyncio watches its own pipes in the same way.
    loop.add_reader(descriptor, gone)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)


def _stdout_pipe() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        descriptor = sys.stdout.fileno()
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return descriptor
    return None


def _discard(stream: TextIO) -> None:
    """Drop what is left in the buffer, or it would fail again when the program ends."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
