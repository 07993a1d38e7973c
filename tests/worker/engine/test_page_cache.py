"""What is read of a model's files, by the system's own count, and what is told meanwhile."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rbee.worker.engine.page_cache import fill

MIB = 1 << 20
SIZES = [3 * MIB + 5, 10, 2 * MIB]
# After each MiB of a file, and at its end.
PASSED = [MIB, 2 * MIB, 3 * MIB, SIZES[0], SIZES[0] + 10, SIZES[0] + 10 + MIB, sum(SIZES)]

linux = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="only Linux tells what is cached")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for number, size in enumerate(SIZES):
        (tmp_path / f"part-{number}").write_bytes(os.urandom(size))
    return sorted(tmp_path.iterdir())


def read_bytes() -> int:
    """How many bytes this process has read so far."""
    [found] = re.findall(r"rchar: (\d+)", Path("/proc/self/io").read_text())
    return int(found)


def cached(monkeypatch: pytest.MonkeyPatch, so: Callable[[int], bool]) -> None:
    """Let the system say which bytes of a file it has cached, by their positions."""

    def preadv(file: int, buffers: list[bytearray], position: int, flags: int) -> int:
        assert flags == os.RWF_NOWAIT
        if position >= os.fstat(file).st_size:
            return 0
        if not so(position):
            raise BlockingIOError
        return len(buffers[0])

    monkeypatch.setattr(os, "preadv", preadv)


def test_all_files_are_passed_from_beginning_to_end(files: list[Path]) -> None:
    assert list(fill(files)) == PASSED


@linux
def test_what_is_cached_is_not_read(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    cached(monkeypatch, lambda _: True)
    before = read_bytes()
    assert list(fill(files)) == PASSED
    assert read_bytes() - before < MIB / 2  # the ends


@linux
def test_what_is_not_cached_is_read(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    cached(monkeypatch, lambda _: False)
    before = read_bytes()
    assert list(fill(files)) == PASSED
    assert read_bytes() - before >= sum(SIZES)


@linux
def test_only_what_is_missing_is_read(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    cached(monkeypatch, lambda position: position != 2 * MIB - 1)
    before = read_bytes()
    assert list(fill(files)) == PASSED
    # The second MiB of each of the large files.
    assert 2 * MIB <= read_bytes() - before < 2.5 * MIB


def test_a_system_that_can_not_tell_reads_everything(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def preadv(*_: object) -> int:
        raise OSError("Operation not supported")

    monkeypatch.setattr(os, "preadv", preadv)
    assert list(fill(files)) == PASSED


def test_nothing_is_read_on_once_nobody_asks(files: list[Path]) -> None:
    passing = fill(files)
    assert next(passing) == MIB
    passing.close()
    assert list(passing) == []
