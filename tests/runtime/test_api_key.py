"""The API key: made once, whoever comes first, and readable for its owner only."""

from __future__ import annotations

import errno
import io
import os
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rbee.contract.errors import ConfigInvalid, StateNotWritable
from rbee.runtime import api_key


def test_a_key_is_made_once(home: Path) -> None:
    made = api_key.load(None)
    assert len(made) >= 32
    assert api_key.load(None) == made


def test_only_its_owner_can_read_the_key(home: Path) -> None:
    api_key.load(None)
    assert (home / ".rbee" / "api_key").stat().st_mode & 0o777 == 0o600


def test_nothing_else_is_left_beside_the_key(home: Path) -> None:
    api_key.load(None)
    assert [file.name for file in (home / ".rbee").iterdir()] == ["api_key"]


def test_two_programs_that_make_a_key_at_once_end_with_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_have_drafts = threading.Barrier(2, timeout=10)
    keys = iter(["the-first-key", "the-second-key"])

    def slow_key(_: int) -> str:
        key = next(keys)
        both_have_drafts.wait()
        return key

    monkeypatch.setattr(secrets, "token_urlsafe", slow_key)
    monkeypatch.setattr(os, "getpid", threading.get_ident)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: api_key.load(None), range(2))
    assert one == other
    assert [file.name for file in (home / ".rbee").iterdir()] == ["api_key"]


def test_a_draft_that_a_killed_program_of_our_pid_left_does_not_stand_in_the_way(
    home: Path,
) -> None:
    (home / ".rbee").mkdir()
    (home / ".rbee" / f".api_key.{os.getpid()}").touch()
    assert api_key.load(None)


def test_a_named_file_holds_the_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("  secret-key\n")
    assert api_key.load(str(tmp_path / "key")) == "secret-key"


def test_a_key_has_at_least_8_characters(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("12345678\n")
    assert api_key.load(str(tmp_path / "key")) == "12345678"
    (tmp_path / "key").write_text("1234567\n")
    with pytest.raises(ConfigInvalid, match="8 characters"):
        api_key.load(str(tmp_path / "key"))


def test_a_named_file_may_be_below_home(home: Path) -> None:
    (home / "key").write_text("secret-key")
    assert api_key.load("~/key") == "secret-key"


def test_a_named_file_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        api_key.load(str(tmp_path / "key"))
    assert not (tmp_path / "key").exists()
    assert str(tmp_path / "key") in caught.value.message


@pytest.mark.parametrize("content", [b"", b"\n", b"short", "schlüssel-lang".encode(), b"\xff" * 9])
def test_a_file_that_holds_no_key_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigInvalid) as caught:
        api_key.load(str(tmp_path / "key"))
    assert caught.value.details["source"] == str(tmp_path / "key")


def test_an_empty_key_at_home_is_refused_and_not_replaced(home: Path) -> None:
    (home / ".rbee").mkdir()
    (home / ".rbee" / "api_key").touch()
    with pytest.raises(ConfigInvalid) as caught:
        api_key.load(None)
    assert "Remove" in caught.value.advice


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret-key")
    (tmp_path / "key").chmod(0)
    with pytest.raises(ConfigInvalid):
        api_key.load(str(tmp_path / "key"))


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", "/proc/self/fd/0", "/etc", "pipe"])
def test_what_is_not_a_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigInvalid) as caught:
        api_key.load(str(tmp_path / name))
    assert "Remove" not in caught.value.advice


@pytest.mark.parametrize(
    "content",
    [
        b"two words-of-it",
        b"a-key-and\nanother-key",
        b"x" * 5000,
        b"a:b:c:d:e",
        b"root:$6$abc",
        b"<html>!",
    ],
)
def test_a_file_of_another_kind_is_not_sent_as_a_key_and_not_advised_to_be_removed(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "shadow").write_bytes(content)
    with pytest.raises(ConfigInvalid, match="does not hold a key") as caught:
        api_key.load(str(tmp_path / "shadow"))
    assert "Remove" not in caught.value.advice
    assert "api_key_file" in caught.value.advice


def test_only_the_file_that_was_made_here_is_advised_to_be_removed(home: Path) -> None:
    (home / ".rbee").mkdir()
    (home / ".rbee" / "api_key").write_text("two words")
    with pytest.raises(ConfigInvalid) as caught:
        api_key.load(None)
    assert f"Remove {home / '.rbee' / 'api_key'}" in caught.value.advice


def test_a_regular_file_that_has_nothing_to_read_yet_holds_no_key() -> None:
    with pytest.raises(ConfigInvalid):
        api_key.load("/proc/kmsg")  # the kernel's log, which one waits for


def test_a_key_that_a_person_chose_may_be_short_enough_to_be_guessed(home: Path) -> None:
    assert not api_key.is_short(api_key.load(None))
    assert not api_key.is_short("x" * 24)
    assert api_key.is_short("x" * 23)
    assert api_key.is_short("x" * 10 + "=" * 20)


def test_a_full_disk_leaves_nothing_beside_the_key(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.fdopen

    class Full(io.FileIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def full(descriptor: int, mode: str) -> object:
        return Full(descriptor, "w") if mode == "wb" else opened(descriptor, mode)

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(StateNotWritable, match="No space left") as caught:
        api_key.load(None)
    assert "Free some space" in caught.value.advice
    assert list((home / ".rbee").iterdir()) == []
