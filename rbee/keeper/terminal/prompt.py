"""The prompt, and what goes with it, from the command line, a file, or standard input."""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# In bytes: the contract takes at most 8,000,000 characters, of up to 4 bytes each.
_LONGEST = 32_000_000


def find(text: str | None, file: str | None, exact: bool) -> str | None:
    """The prompt: `text`, with the content of `file` below it. "-" is standard input, which is also
    read if both are None, unless it is a terminal. Returns None if there is no prompt.

    The last line end of a file is dropped unless `exact`. Raises ValueError, which says what is
    wrong with the file.
    """
    if text is None and file is None:
        if sys.stdin is None or sys.stdin.isatty():
            return None
        return _read("-", exact) or None
    if text == "-":
        text = _read("-", exact)
    if file is None:
        return text
    content = _read(file, exact)
    if not content.strip():
        raise ValueError(f"{_name(file)} is empty.")
    return content if text is None else f"{text}\n\n{content}"


def read_file(file: str) -> str:
    """The text of a file that is not a prompt; "-" is standard input. Raises ValueError."""
    text = _read(file, exact=True)
    if not text.strip():
        raise ValueError(f"{_name(file)} is empty.")
    return text


def _read(file: str, exact: bool) -> str:
    try:
        if file == "-":
            data = b"" if sys.stdin is None else _content(sys.stdin.buffer)
        else:
            with Path(file).open("rb", buffering=0) as content:
                data = _content(content)
    except OSError as error:
        raise ValueError(f"{_name(file)} can't be read: {error.strerror}.") from None
    if len(data) > _LONGEST:
        raise ValueError(f"{_name(file)} is larger than {_LONGEST // 1_000_000} MB.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{_name(file)} is not UTF-8 text: see byte {error.start}.") from None
    if "\0" in text:
        raise ValueError(f"{_name(file)} is not text: it contains a NUL.")
    return text if exact else text.removesuffix("\n").removesuffix("\r")


def _content(stream: BinaryIO | io.RawIOBase) -> bytes:
    """What is left in `stream`, but not much more than the longest prompt."""
    try:
        descriptor = stream.fileno()
    except io.UnsupportedOperation:  # text in memory, which never blocks
        return stream.read(_LONGEST + 1) or b""
    data = bytearray()
    with _woken_by_signals() as signals:
        while len(data) <= _LONGEST:
            ready, _, _ = select.select([descriptor, signals], [], [])
            if signals in ready:
                os.read(signals, 1024)
            elif chunk := os.read(descriptor, 1 << 20):
                data += chunk
            else:
                break
    return bytes(data)


@contextlib.contextmanager
def _woken_by_signals() -> Iterator[int]:
    """A descriptor that is readable once a signal has come. Without it, a Ctrl+C in the moment
    before a read starts takes effect only after that read."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    before = signal.set_wakeup_fd(writable)
    try:
        yield readable
    finally:
        signal.set_wakeup_fd(before)
        os.close(readable)
        os.close(writable)


def _name(file: str) -> str:
    return "Standard input" if file == "-" else file
