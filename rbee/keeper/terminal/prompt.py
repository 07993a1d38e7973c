"""The prompt, and what goes with it, from the command line, a file, or standard input."""

from __future__ import annotations

import sys
from pathlib import Path

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
            data = b"" if sys.stdin is None else sys.stdin.buffer.read(_LONGEST + 1)
        else:
            with Path(file).open("rb") as content:
                data = content.read(_LONGEST + 1)
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


def _name(file: str) -> str:
    return "Standard input" if file == "-" else file
