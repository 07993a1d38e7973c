"""One log file, read from near its end and then as it grows, however often it is put aside."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from rbee.hive.logs.log_timestamps import timed
from rbee.runtime.log_file import all_of

_BLOCK = 65_536
# Of one log: what `last` reads at most, and where a line is cut that does not end.
_MOST_BYTES = 8 << 20
_LONGEST_LINE = 65_536
# Lines before those that are wanted, which may say when those were written.
_BEFORE = 200

Timed = tuple[float, str]


class Tail:
    """Blocks. `at` is the time of the last line. `gone`: the file is no more, and nothing of it is
    left to read."""

    def __init__(self, path: Path) -> None:
        self.gone = False
        self._path = path
        self._at: float | None = None
        self._file: BinaryIO | None = None
        self._rest = b""
        self._moved = False

    def last(self, count: int) -> list[Timed]:
        """The last lines, and this is where reading goes on."""
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
                    if _is(path, os.fstat(self._file.fileno())):
                        continue  # it was put aside between the two
                    older = _from_end(file, wanted - len(lines))
                lines = older[: -1 if not older[-1] else None] + lines
        self._at = None
        return self._timed(lines)[-count:] if count else self._timed(lines)[:0]

    def more(self) -> list[Timed]:
        """Lines that have come since, up to a block of them; empty where there are none now."""
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
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        return lines

    def _move_on(self) -> list[bytes]:
        """At the end of the file: to the one that was begun after it, if there is one, but not at
        once, since its writer may just be writing its last line."""
        assert self._file is not None
        ours = os.fstat(self._file.fileno())
        with contextlib.suppress(OSError):
            if os.path.samestat(ours, self._path.stat()):
                return []
        if not self._moved:
            self._moved = True
            return []
        files = all_of(self._path)
        mine = [n for n, path in enumerate(files) if _is(path, ours)]
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

    def _timed(self, lines: list[bytes]) -> list[Timed]:
        texts = (line.decode(errors="replace").rstrip("\r") for line in lines)
        found = [(at or 0.0, line) for at, line in timed(texts, self._at)]
        if found:
            self._at = found[-1][0] or None
        return found


def _from_end(file: BinaryIO, count: int) -> list[bytes]:
    """The last `count` lines, the last of which is what has no end yet: mostly nothing."""
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


def _is(path: Path, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(found, path.stat())
    except OSError:
        return False
