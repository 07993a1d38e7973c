"""Files into the system's page cache, from which llama.cpp maps them at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_CHUNK = 1 << 20
_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)  # Linux has it


def fill(files: Iterable[Path]) -> Iterator[int]:
    """Read files from beginning to end, except what is cached already. After each chunk, yields how
    many bytes of them all have been passed.

    A chunk counts as cached if its last byte is: at the memory's speed, a large model would take
    seconds. If some of it is missing after all, llama.cpp waits for it.
    """
    buffer = bytearray(_CHUNK)
    before = 0
    for path in files:
        with path.open("rb", buffering=0) as file:
            at = 0
            while True:
                if _cached(file.fileno(), at + _CHUNK - 1):
                    at = file.seek(at + _CHUNK)
                elif count := file.readinto(buffer):
                    at += count
                else:
                    break
                yield before + at
            before += at


def _cached(file: int, position: int) -> bool:
    """Whether the page cache holds a byte of a file. False if there is none, or no way to tell."""
    try:
        return _NOWAIT is not None and os.preadv(file, [bytearray(1)], position, _NOWAIT) == 1
    except OSError:
        return False
