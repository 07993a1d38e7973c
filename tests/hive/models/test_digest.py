"""The sha256 of files that are there, and of one that grows."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbee.hive.models.digest import BackgroundHash, StoppedError, sha256

DATA = bytes(range(256)) * 40_000  # ten megabytes, so in several pieces


@pytest.mark.parametrize("data", [b"", b"abc", DATA])
def test_the_sum_is_the_files(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m").write_bytes(data)
    assert sha256(tmp_path / "m") == hashlib.sha256(data).hexdigest()


def test_how_far_it_is_is_reported_up_to_the_whole(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(DATA)
    reported: list[int] = []
    sha256(tmp_path / "m", reported.append)
    assert reported == sorted(set(reported))
    assert len(reported) > 1
    assert reported[-1] == len(DATA)


def test_the_report_callback_may_stop_it(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(DATA)
    reported: list[int] = []

    def enough(size: int) -> None:
        reported.append(size)
        raise StoppedError

    with pytest.raises(StoppedError):
        sha256(tmp_path / "m", enough)
    assert len(reported) == 1


@settings(max_examples=25)
@given(st.lists(st.binary(max_size=300), max_size=6))
def test_a_growing_file_is_hashed_piece_by_piece(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("growing") / "m"
    path.touch()
    hashing = BackgroundHash(os.open(path, os.O_RDONLY))
    with path.open("ab", buffering=0) as file:
        for piece in pieces:
            file.write(piece)
            hashing.grow_to(file.tell())
    assert hashing.result() == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_what_was_there_before_is_hashed_too(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(DATA)
    hashing = BackgroundHash(os.open(tmp_path / "m", os.O_RDONLY))
    hashing.grow_to(len(DATA))
    assert hashing.result() == hashlib.sha256(DATA).hexdigest()


def test_only_what_is_reported_of_is_hashed(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"abc and what does not count")
    hashing = BackgroundHash(os.open(tmp_path / "m", os.O_RDONLY))
    hashing.grow_to(3)
    assert hashing.result() == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("size", [0, 3])
def test_given_up_it_ends(tmp_path: Path, size: int) -> None:
    (tmp_path / "m").write_bytes(b"abc")
    before = set(threading.enumerate())
    hashing = BackgroundHash(os.open(tmp_path / "m", os.O_RDONLY))
    [thread] = set(threading.enumerate()) - before
    hashing.grow_to(size)
    hashing.close()
    thread.join(5)
    assert not thread.is_alive()


def test_what_the_disk_refuses_is_reported_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sum of half the file would throw away what is there, as if it were another content."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "m").write_bytes(DATA)
    hashing = BackgroundHash(os.open(tmp_path / "m", os.O_RDONLY), sync_every=1)
    hashing.grow_to(len(DATA))
    with pytest.raises(OSError, match="No space"):
        hashing.result()


def test_on_its_way_it_has_the_disk_take_what_is_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    (tmp_path / "m").write_bytes(DATA)
    hashing = BackgroundHash(os.open(tmp_path / "m", os.O_RDONLY), sync_every=4 << 20)
    hashing.grow_to(len(DATA))
    assert hashing.result() == hashlib.sha256(DATA).hexdigest()
    assert len(synced) == len(DATA) // (4 << 20)
