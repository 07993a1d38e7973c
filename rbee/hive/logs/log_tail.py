"""One log file, read from near its end and then as it grows, however often it is rotated."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from rbee.hive.logs.log_timestamps import with_times
from rbee.runtime.log_file import all_of

_BLOCK = 65_536
# The most that `last` reads of one log, and the length at which an endless line is cut.
_MOST_BYTES = 8 << 20
LONGEST_LINE = 65_536
# Lines before those that are wanted: they may have the timestamp of the first ones.
_BEFORE = 200

TimedLine = tuple[float, str]


class LogTail:
    """Every call blocks. `gone`: the file does not exist any more, and nothing of it is left to
    read."""

    def __init__(self, path: Path) -> None:
        self.gone = False
        self._path = path
        self._at: float | None = None
        self._file: BinaryIO | None = None
        self._rest = b""
        self._moved = False

    def last(self, count: int) -> list[TimedLine]:
        """The last lines; `more` continues after them."""
        self.close()
        wanted = count + _BEFORE
        lines: list[bytes] = []
        for path in reversed(all_of(self._path)):
            if len(lines) >= wanted:
                break
            with contextlib.suppress(OSError):
                file = path.open("rb")
                if self._file is None:
                    self._file = file
                    *lines, self._rest = _from_end(file, wanted)
                    continue
                with file:
                    if _is_same(path, os.fstat(self._file.fileno())):
                        continue  # it was rotated between the two
                    older = _from_end(file, wanted - len(lines))
                lines = older[: -1 if not older[-1] else None] + lines
        self._at = None
        return self._timed(lines)[-count:] if count else self._timed(lines)[:0]

    def more(self) -> list[TimedLine]:
        """The lines that have come since, up to a block of them."""
        if self._file is None:
            self._open(self._path)
        if self._file is None:
            self.gone = True
            return []
        data = self._file.read(_BLOCK)
        if data:
            return self._timed(self._whole(data))
        return self._timed(self._move_on())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _whole(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        return lines

    def _move_on(self) -> list[bytes]:
        """At the end of a file that was rotated, go on with the next one, but not at once: its
        writer may still be writing the last line."""
        assert self._file is not None
        ours = os.fstat(self._file.fileno())
        with contextlib.suppress(OSError):
            if os.path.samestat(ours, self._path.stat()):
                return []
        if not self._moved:
            self._moved = True
            return []
        files = all_of(self._path)
        mine = [n for n, path in enumerate(files) if _is_same(path, ours)]
        newer = files[mine[0] + 1 :] if mine else files
        rest = [self._rest] if self._rest else []
        self._rest = b""
        self._moved = False
        self.close()
        if newer:
            self._open(newer[0])
        return rest

    def _open(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            self._file = path.open("rb")

    def _timed(self, lines: list[bytes]) -> list[TimedLine]:
        texts = (line.decode(errors="replace").rstrip("\r") for line in lines)
        found = [(at or 0.0, line) for at, line in with_times(texts, self._at)]
        if found:
            self._at = found[-1][0] or None
        return found


def _from_end(file: BinaryIO, count: int) -> list[bytes]:
    """The last `count` lines. The last one is what has no line end yet, mostly nothing."""
    position, data = file.seek(0, os.SEEK_END), b""
    end = position
    while position > 0 and data.count(b"\n") <= count and len(data) < _MOST_BYTES:
        step = min(_BLOCK, position)
        position -= step
        file.seek(position)
        data = file.read(step) + data
    file.seek(end)
    lines = data[: end - position].split(b"\n")
    return lines[1:] or [b""] if position > 0 else lines


def _is_same(path: Path, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(found, path.stat())
    except OSError:
        return False
