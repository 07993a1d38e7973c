"""Standard output and standard error, and what becomes of them where nobody reads them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from rbee.contract.errors import StateNotWritable


def write(text: str) -> None:
    """To standard output, at once. Raises BrokenPipeError where nobody reads it any more, a
    terminal that is gone included, and STATE_NOT_WRITABLE."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _give_up(sys.stdout)
        if error.errno in (errno.EPIPE, errno.EIO):
            raise BrokenPipeError(error.errno, error.strerror) from None
        raise StateNotWritable(
            f"Standard output can't be written: {error.strerror}.",
            path="standard output",
            reason=error.strerror,
            hint="Send it elsewhere, or make room there, and run the command again.",
        ) from None


def tell(text: str) -> None:
    """To standard error, at once. Who reads it no more misses it, and that is all."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)


@contextlib.contextmanager
def when_reader_leaves(then: Callable[[], None]) -> Iterator[None]:
    """Call `then` as soon as the reader of a pipe on standard output is gone: who waits for the
    next write to fail may load a model for nobody."""
    loop = asyncio.get_running_loop()
    descriptor = _pipe_on_stdout()
    if descriptor is None:
        yield
        return

    def gone() -> None:
        loop.remove_reader(descriptor)
        then()

    # The end that writes gets readable by nothing else; asyncio watches its own pipes like this.
    loop.add_reader(descriptor, gone)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)


def prepare() -> None:
    """Make both usable. Started with `>&-` or `2>&-`: what is said there goes nowhere, and not into
    the next file that is opened."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115  for good
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115  for good
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that can't show a character shows a substitute, and the story goes on.
        sys.stdout.reconfigure(errors="replace")


def _pipe_on_stdout() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        descriptor = sys.stdout.fileno()
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return descriptor
    return None


def _give_up(stream: TextIO) -> None:
    """What is left in the buffer goes nowhere, or it would fail again when the program ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
