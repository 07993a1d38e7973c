"""One file from the Hub to the disk, whatever the Hub, the disk and other hives do meanwhile."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from rbee.contract.errors import (
    ChecksumMismatch,
    DiskFull,
    DownloadFailed,
    ModelGated,
    StateNotWritable,
)
from rbee.contract.model_ref import parse
from rbee.hive.models.digest import BackgroundHash, StoppedError
from rbee.hive.models.file_transfer import FileTransfer
from rbee.hive.models.folder import BeingFetchedError, is_being_fetched
from rbee.hive.models.hub import FileStream, Hub
from rbee.hive.models.hub_errors import RangeRefusedError, TransientError
from rbee.hive.models.repository import RemoteFile, RemoteModel

DATA = bytes(range(256)) * 4
SUM = hashlib.sha256(DATA).hexdigest()
PIECE = 100


class FakeHub:
    """Sends DATA in pieces of a hundred bytes. `limit`: it breaks off at that byte of the file;
    `ranges`: whether it can begin elsewhere than at the beginning."""

    def __init__(self) -> None:
        self.data = DATA
        self.limit: int | None = None
        self.ranges = True
        self.starts: list[int] = []
        self.before: Callable[[int], None] = lambda _: None
        self.error: Exception | None = None

    @contextlib.contextmanager
    def stream(self, _: RemoteModel, __: RemoteFile, start: int) -> Iterator[FileStream]:
        self.starts.append(start)
        if self.error is not None:
            raise self.error
        begins = start if self.ranges else 0
        yield FileStream(begins, self._pieces(begins), None)

    def _pieces(self, start: int) -> Iterator[bytes]:
        end = len(self.data) if self.limit is None else self.limit
        for at in range(start, end, PIECE):
            self.before(at)
            yield self.data[at : min(at + PIECE, end)]
        if self.limit is not None:
            raise TransientError("Connection reset")


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "owner" / "repo" / "m.gguf"


class Made:
    """A transfer, and what it reported."""

    def __init__(
        self,
        hub: FakeHub,
        target: Path,
        sha256: str | None = SUM,
        hasher: Callable[[int], BackgroundHash] = BackgroundHash,
    ) -> None:
        file = RemoteFile("m.gguf", len(DATA), sha256)
        model = RemoteModel(parse("hf:owner/repo/m.gguf"), "c0ffee", (file,))
        self.reported: list[int] = []
        # Each chunk is written as it comes, where otherwise a megabyte of them is buffered.
        self.transfer = FileTransfer(
            cast(Hub, hub),
            model,
            file,
            target.parents[2],
            target,
            self.reported.append,
            hasher,
            buffer_bytes=1,
        )
        self.part = self.transfer.part

    def attempt(self) -> str:
        return self.transfer.attempt()


@pytest.fixture
def made(hub: FakeHub, target: Path) -> Iterator[Made]:
    one = Made(hub, target)
    yield one
    one.transfer.close()


def begun(made: Made, data: bytes) -> None:
    """What an earlier hive left behind."""
    made.part.parent.mkdir(parents=True, exist_ok=True)
    made.part.write_bytes(data)


def lying(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_that_comes_whole_gets_its_name(made: Made, target: Path) -> None:
    assert made.attempt() == SUM
    assert target.read_bytes() == DATA
    assert lying(target) == ["m.gguf"]
    assert made.transfer.size == len(DATA)


def test_the_partial_file_is_named_for_its_content(made: Made, target: Path) -> None:
    assert made.part == target.with_name(f"m.gguf.{len(DATA)}-{SUM[:16]}.part")


def test_how_far_it_is_is_reported_from_what_was_there(made: Made) -> None:
    begun(made, DATA[:300])
    made.attempt()
    assert made.reported[0] == 300
    assert made.reported == sorted(made.reported)
    assert made.reported[-1] == len(DATA)


def test_it_goes_on_where_another_left_off(made: Made, hub: FakeHub, target: Path) -> None:
    begun(made, DATA[:333])
    assert made.attempt() == SUM
    assert hub.starts == [333]
    assert target.read_bytes() == DATA


def test_attempts_go_on_where_the_last_one_broke_off(
    made: Made, hub: FakeHub, target: Path
) -> None:
    for limit in (250, 700):
        hub.limit = limit
        with pytest.raises(TransientError):
            made.attempt()
        assert made.transfer.size == limit
        assert not target.exists()
    hub.limit = None
    assert made.attempt() == SUM
    assert hub.starts == [0, 250, 700]
    assert target.read_bytes() == DATA


def test_the_beginning_is_hashed_once_however_many_attempts(hub: FakeHub, target: Path) -> None:
    hashed: list[str] = []

    def counting(descriptor: int) -> BackgroundHash:
        hashed.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        return BackgroundHash(descriptor)

    made = Made(hub, target, hasher=counting)
    hub.limit = 500
    with pytest.raises(TransientError):
        made.attempt()
    hub.limit = None
    made.attempt()
    assert hashed == [str(made.part)]


def test_a_partial_file_that_is_whole_needs_no_hub(made: Made, hub: FakeHub, target: Path) -> None:
    begun(made, DATA)
    assert made.attempt() == SUM
    assert hub.starts == []
    assert target.exists()


def test_a_server_without_ranges_is_begun_with_again(
    made: Made, hub: FakeHub, target: Path
) -> None:
    begun(made, DATA[:333])
    hub.ranges = False
    assert made.attempt() == SUM
    assert target.read_bytes() == DATA


class PromptHash:
    """A hash that has read every byte as soon as it is written."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sum = hashlib.sha256()
        self._done = 0
        self._closed = False

    def grow_to(self, size: int) -> None:
        if not self._closed:
            self._sum.update(os.pread(self._descriptor, size - self._done, self._done))
            self._done = size

    def result(self) -> str:
        return self._sum.hexdigest()

    def covers(self, _: int) -> bool:
        return True

    def close(self) -> None:
        self._closed = True
        os.close(self._descriptor)


@pytest.mark.parametrize("left", [b"damaged" + DATA[7:300], bytes(len(DATA) + 1)])
def test_what_is_thrown_away_does_not_count(hub: FakeHub, target: Path, left: bytes) -> None:
    made = Made(hub, target, hasher=lambda descriptor: cast(BackgroundHash, PromptHash(descriptor)))
    begun(made, left)
    hub.ranges = False
    assert made.attempt() == SUM


def test_a_server_that_loses_its_ranges_between_attempts_is_begun_with_again(
    made: Made, hub: FakeHub, target: Path
) -> None:
    hub.limit = 500
    with pytest.raises(TransientError):
        made.attempt()
    hub.limit, hub.ranges = None, False
    assert made.attempt() == SUM
    assert target.read_bytes() == DATA


def test_a_rest_that_is_refused_is_asked_for_again_and_then_the_whole_file(
    made: Made, hub: FakeHub, target: Path
) -> None:
    begun(made, DATA[:400])
    refused = RangeRefusedError("HTTP 416")
    for _ in range(2):
        hub.error = refused
        with pytest.raises(TransientError):
            made.attempt()
        assert made.part.read_bytes() == DATA[:400]
    hub.error, hub.limit = None, 300
    with pytest.raises(TransientError, match="reset"):
        made.attempt()
    hub.limit = None
    assert made.attempt() == SUM
    assert hub.starts == [400, 400, 0, 300]


def test_a_rest_that_is_refused_whatever_is_asked_for_ends_the_download(
    made: Made, hub: FakeHub
) -> None:
    """The file on the server is shorter than the Hub's listing says: it would never end."""
    begun(made, DATA[:400])
    hub.error = RangeRefusedError("HTTP 416")
    for _ in range(2):
        with pytest.raises(TransientError):
            made.attempt()
    hub.error, hub.limit = None, 300
    with pytest.raises(TransientError):
        made.attempt()
    hub.error = RangeRefusedError("HTTP 416")
    with pytest.raises(DownloadFailed, match="HTTP 416"):
        made.attempt()


def test_a_file_that_is_put_in_the_place_of_the_partial_one_is_not_hashed(
    made: Made,
) -> None:
    """Between the opening of the one that is written and that of the one that is read."""
    begun(made, DATA[:400])
    stat_of = os.stat

    def swapped(*of: Any, **how: Any) -> os.stat_result:
        found = stat_of(*of, **how)
        if of[0] == made.part.name:
            made.part.unlink()
            made.part.write_bytes(b"another")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "stat", swapped)
        with pytest.raises(TransientError, match="taken away"):
            made.attempt()
    assert made.part.read_bytes() == b"another"


def test_a_partial_file_that_is_too_long_is_begun_again(
    made: Made, hub: FakeHub, target: Path
) -> None:
    begun(made, DATA + b"more")
    assert made.attempt() == SUM
    assert hub.starts == [0]
    assert target.read_bytes() == DATA


def test_more_than_was_promised_is_not_written(made: Made, hub: FakeHub, target: Path) -> None:
    hub.data = DATA + bytes(1000)
    assert made.attempt() == SUM
    assert target.read_bytes() == DATA
    assert max(made.reported) == len(DATA)


def test_less_than_was_promised_is_worth_another_attempt(
    made: Made, hub: FakeHub, target: Path
) -> None:
    hub.data = DATA[:500]
    with pytest.raises(TransientError, match="Connection closed early"):
        made.attempt()
    assert made.part.read_bytes() == DATA[:500]
    assert not target.exists()
    hub.data = DATA
    assert made.attempt() == SUM


def test_a_wrong_content_is_removed_and_reported_with_both_sums(
    made: Made, hub: FakeHub, target: Path
) -> None:
    hub.data = b"x" + DATA[1:]
    with pytest.raises(ChecksumMismatch) as caught:
        made.attempt()
    assert caught.value.details == {
        "file": str(target),
        "expected": SUM,
        "actual": hashlib.sha256(hub.data).hexdigest(),
    }
    assert lying(target) == []


def test_after_a_wrong_content_an_attempt_begins_again(
    made: Made, hub: FakeHub, target: Path
) -> None:
    begun(made, b"damaged" + DATA[7:300])
    with pytest.raises(ChecksumMismatch):
        made.attempt()
    assert made.attempt() == SUM
    assert hub.starts == [300, 0]
    assert target.read_bytes() == DATA


def test_without_a_known_sum_what_comes_is_taken(hub: FakeHub, target: Path) -> None:
    hub.data = b"x" + DATA[1:]
    found = Made(hub, target, sha256=None).attempt()
    assert found == hashlib.sha256(hub.data).hexdigest()
    assert target.read_bytes() == hub.data


def test_partial_files_of_another_content_are_forgotten(made: Made, target: Path) -> None:
    target.parent.mkdir(parents=True)
    other = target.with_name(f"m.gguf.99-{'cd' * 8}.part")
    of_another = target.with_name(f"mm.gguf.99-{'cd' * 8}.part")
    other.touch()
    of_another.touch()
    made.attempt()
    assert lying(target) == ["m.gguf", of_another.name]


def test_a_file_that_has_its_name_already_is_taken_if_it_is_the_hubs(
    made: Made, hub: FakeHub, target: Path
) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(DATA)
    assert made.attempt() == SUM
    assert hub.starts == []


@pytest.mark.parametrize("data", [b"x" + DATA[1:], DATA[:-1], DATA + b"x"])
def test_a_file_that_has_its_name_but_not_its_content_is_replaced(
    made: Made, hub: FakeHub, target: Path, data: bytes
) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(data)
    assert made.attempt() == SUM
    assert hub.starts == [0]
    assert target.read_bytes() == DATA


def test_it_is_on_the_disk_before_it_has_its_name(
    made: Made, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}")
        done.append("folder" if path.is_dir() else "file")
        fsync(descriptor)

    def renamed(*names: str, **places: int) -> None:
        done.append("name")
        replace(*names, **places)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    made.attempt()
    assert done == ["file", "name", "folder"]


def test_a_file_that_another_fetches_is_left_alone(made: Made, hub: FakeHub) -> None:
    begun(made, DATA[:300])
    with made.part.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BeingFetchedError) as caught:
            made.attempt()
        assert caught.value.size == 300
    assert hub.starts == []
    assert made.part.read_bytes() == DATA[:300]
    assert made.attempt() == SUM


def test_the_lock_is_held_while_it_comes(made: Made, hub: FakeHub) -> None:
    seen: list[str] = []

    def other(_: int) -> None:
        with made.part.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                seen.append("held")

    hub.before = other
    made.attempt()
    assert len(seen) == -(-len(DATA) // PIECE)


def test_a_partial_file_that_went_before_it_was_locked_is_not_written(
    made: Made, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        made.part.unlink()  # the other hive has just given it its name
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(BeingFetchedError):
        made.attempt()
    assert hub.starts == []


def test_it_can_be_stopped_from_another_thread(made: Made, hub: FakeHub, target: Path) -> None:
    def stop(at: int) -> None:
        if at == 500:
            stopping = threading.Thread(target=made.transfer.stop)
            stopping.start()
            stopping.join()

    hub.before = stop
    with pytest.raises(StoppedError):
        made.attempt()
    assert made.part.read_bytes() == DATA[:500]  # what comes once it is cut is not believed
    assert not target.exists()


def test_stopped_it_begins_no_more(made: Made, hub: FakeHub) -> None:
    made.transfer.stop()
    with pytest.raises(StoppedError):
        made.attempt()
    assert hub.starts == []


def test_stopping_wakes_a_thread_that_waits_for_a_byte(made: Made, hub: FakeHub) -> None:
    near, far = socket.socketpair()

    @contextlib.contextmanager
    def silent(*_: Any) -> Iterator[FileStream]:
        def pieces() -> Iterator[bytes]:
            yield DATA[:PIECE]
            threading.Thread(target=made.transfer.stop).start()
            assert near.recv(1) == b""
            raise TransientError("Connection closed early")

        with near, far:
            near.settimeout(5)
            yield FileStream(0, pieces(), near)

    hub.stream = silent  # type: ignore[method-assign,assignment]
    with pytest.raises((StoppedError, TransientError)):
        made.attempt()


def test_stopped_after_its_last_byte_it_does_not_get_its_name(hub: FakeHub, target: Path) -> None:
    class StoppingHash(BackgroundHash):
        def result(self) -> str:
            made.transfer.stop()
            return super().result()

    made = Made(hub, target, hasher=StoppingHash)
    with pytest.raises(StoppedError):
        made.attempt()
    assert made.part.read_bytes() == DATA
    assert not target.exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_reported_with_what_is_missing_and_what_came_stays(
    made: Made, target: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if os.fstat(descriptor).st_size >= 300:
            raise OSError(code, os.strerror(code))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DiskFull) as caught:
        made.attempt()
    assert caught.value.details == {"required": 1, "available": 0, "path": str(target.parent)}
    assert made.part.read_bytes() == DATA[:300]
    monkeypatch.undo()
    assert made.attempt() == SUM


def test_a_folder_that_can_not_be_made_is_reported(made: Made, tmp_path: Path) -> None:
    (tmp_path / "models").touch()
    with pytest.raises(StateNotWritable) as caught:
        made.attempt()
    assert str(tmp_path / "models") in caught.value.details["path"]


def test_what_the_hub_says_goes_through(made: Made, hub: FakeHub) -> None:
    hub.error = ModelGated(model="hf:owner/repo", url="https://hub/owner/repo")
    with pytest.raises(ModelGated):
        made.attempt()


def test_no_thread_is_left_when_it_is_closed(made: Made, hub: FakeHub) -> None:
    hub.limit = 500
    with pytest.raises(TransientError):
        made.attempt()
    following = [thread for thread in threading.enumerate() if thread.name == "sha256"]
    made.transfer.close()
    for thread in following:
        thread.join(5)
        assert not thread.is_alive()


@pytest.mark.parametrize("left", [None, DATA[:100], b"x" * 700])
def test_a_partial_file_that_another_program_changed_in_between_is_hashed_again(
    made: Made, hub: FakeHub, target: Path, left: bytes | None
) -> None:
    hub.limit = 500
    with pytest.raises(TransientError):
        made.attempt()
    made.part.unlink()
    if left is not None:
        made.part.write_bytes(left)
    hub.limit = None
    if left is not None and left not in DATA:
        with pytest.raises(ChecksumMismatch):
            made.attempt()
        return
    assert made.attempt() == SUM
    assert target.read_bytes() == DATA


def test_a_partial_file_that_is_cut_in_between_is_hashed_again(
    made: Made, hub: FakeHub, target: Path
) -> None:
    hub.limit = 500
    with pytest.raises(TransientError):
        made.attempt()
    os.truncate(made.part, 50)
    hub.limit = None
    assert made.attempt() == SUM
    assert target.read_bytes() == DATA


def test_a_partial_file_that_goes_while_it_is_written_ends_the_attempt(
    made: Made, hub: FakeHub, target: Path
) -> None:
    hub.before = lambda at: made.part.unlink() if at == 500 else None
    with pytest.raises(TransientError, match="taken away"):
        made.attempt()
    hub.before = lambda _: None
    assert made.attempt() == SUM
    assert target.read_bytes() == DATA


def test_what_somebody_writes_is_being_fetched(made: Made, hub: FakeHub) -> None:
    seen: list[bool] = []
    hub.before = lambda _: seen.append(is_being_fetched(made.part))
    made.attempt()
    assert set(seen) == {True}
    assert not is_being_fetched(made.part)


def test_what_another_hive_finishes_meanwhile_is_not_fetched_again(
    made: Made, hub: FakeHub, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look for the file and the lock on the partial one."""
    flock = fcntl.flock

    def done_meanwhile(descriptor: int, how: int) -> None:
        target.write_bytes(DATA)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", done_meanwhile)
    assert made.attempt() == SUM
    assert hub.starts == []
    assert lying(target) == ["m.gguf"]


def outside(target: Path, data: bytes = b"somebody's") -> Path:
    path = target.parents[3] / "outside"
    path.write_bytes(data)
    return path


def test_nothing_is_written_through_a_link(made: Made, target: Path) -> None:
    theirs = outside(target)
    begun(made, b"")
    made.part.unlink()
    made.part.symlink_to(theirs)
    assert made.attempt() == SUM
    assert theirs.read_bytes() == b"somebody's"
    assert target.read_bytes() == DATA
    assert not target.is_symlink()


def test_nothing_is_written_into_another_name_of_a_file(made: Made, target: Path) -> None:
    theirs = outside(target)
    begun(made, b"")
    made.part.unlink()
    made.part.hardlink_to(theirs)
    assert made.attempt() == SUM
    assert theirs.read_bytes() == b"somebody's"
    assert target.read_bytes() == DATA


def test_a_pipe_in_the_place_of_the_partial_file_holds_nobody_up(made: Made, target: Path) -> None:
    begun(made, b"")
    made.part.unlink()
    os.mkfifo(made.part)
    assert made.attempt() == SUM
    assert target.read_bytes() == DATA


def test_a_link_in_the_place_of_the_file_is_replaced_and_what_it_led_to_stays(
    made: Made, target: Path
) -> None:
    theirs = outside(target)
    target.parent.mkdir(parents=True)
    target.symlink_to(theirs)
    assert made.attempt() == SUM
    assert theirs.read_bytes() == b"somebody's"
    assert not target.is_symlink()


@pytest.mark.parametrize("above", ["owner", "owner/repo"])
def test_nothing_is_fetched_through_a_link_to_a_folder(
    made: Made, target: Path, above: str
) -> None:
    elsewhere = target.parents[3] / "elsewhere"
    elsewhere.mkdir()
    link = target.parents[2] / above
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    with pytest.raises(StateNotWritable, match="link to"):
        made.attempt()
    assert list(elsewhere.iterdir()) == []


def test_a_folder_that_is_exchanged_meanwhile_leads_nowhere(
    made: Made, hub: FakeHub, target: Path
) -> None:
    elsewhere = target.parents[3] / "elsewhere"
    elsewhere.mkdir()

    def exchange(at: int) -> None:
        if at == PIECE:
            target.parent.rename(target.parents[1] / "moved")
            target.parent.symlink_to(elsewhere)

    hub.before = exchange
    assert made.attempt() == SUM
    assert list(elsewhere.iterdir()) == []
    assert (target.parents[1] / "moved" / "m.gguf").read_bytes() == DATA


def test_the_models_folder_itself_may_be_a_link(hub: FakeHub, tmp_path: Path) -> None:
    disk = tmp_path / "disk2"
    disk.mkdir()
    (tmp_path / "models").symlink_to(disk)
    made = Made(hub, tmp_path / "models" / "owner" / "repo" / "m.gguf")
    assert made.attempt() == SUM
    assert (disk / "owner" / "repo" / "m.gguf").read_bytes() == DATA


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_others_may_read_what_was_fetched_whatever_the_umask(
    made: Made, target: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        made.attempt()
    finally:
        os.umask(before)
    modes = [path.stat().st_mode & 0o7777 for path in (target, target.parent, target.parents[1])]
    assert modes == [0o644, 0o755, 0o755]
