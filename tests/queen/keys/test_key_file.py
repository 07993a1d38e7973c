"""The file of the keys: whole after any kill, private under any umask, shared by queens."""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import threading
from pathlib import Path

import pytest

from rbee.contract.errors import NotFound, StateNotWritable
from rbee.queen.keys.key_file import KeyFile, StoredKey


def key(name: str, **more: object) -> StoredKey:
    fields = {"id": name.ljust(8, "0"), "sha256": "0" * 64, "role": "use", "created_unix": 1}
    return StoredKey(**{"name": name, **fields, **more})  # type: ignore[arg-type]


def kept(path: Path) -> list[StoredKey]:
    """What a queen that starts now reads."""
    found = KeyFile(path).read()
    assert found is not None
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_what_was_written_is_read(path: Path) -> None:
    keys = [key("a", limit=3, models=["hf:o/r"], last_used_unix=7), key("b", role="manage")]
    KeyFile(path).change(lambda before: [*before, *keys])
    assert kept(path) == keys


def test_without_a_file_there_are_no_keys_and_none_is_made(path: Path) -> None:
    assert kept(path) == []
    assert not path.exists()


@pytest.mark.parametrize("umask", [0, 0o777])
def test_only_its_owner_can_read_it_under_any_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        for name in ("a", "b"):
            KeyFile(path).change(lambda keys, name=name: [*keys, key(name)])  # type: ignore[misc]
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(kept(path)) == 2
    assert [each.name for each in path.parent.iterdir()] == ["keys.json"]


def test_a_change_of_another_queen_is_noticed(path: Path) -> None:
    one, other = KeyFile(path), KeyFile(path)
    one.read()
    assert not one.has_changed()
    other.change(lambda keys: [*keys, key("a")])
    assert one.has_changed()
    assert one.read() == [key("a")]
    assert not one.has_changed()


def test_queens_that_write_at_once_lose_nothing(path: Path) -> None:
    def write(start: int) -> None:
        file = KeyFile(path)
        for number in range(start, start + 20):
            file.change(lambda keys, n=number: [*keys, key(f"k{n}")])  # type: ignore[misc]

    threads = [threading.Thread(target=write, args=(start,)) for start in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({each.name for each in kept(path)}) == 60


def test_a_draft_that_a_kill_left_changes_nothing(path: Path) -> None:
    KeyFile(path).change(lambda keys: [key("a")])
    path.with_name(".keys.json.0123").write_text('{"keys": [')
    assert [each.name for each in kept(path)] == ["a"]


def test_a_file_that_was_just_made_holds_no_keys(path: Path) -> None:
    path.touch()
    assert kept(path) == []
    KeyFile(path).change(lambda keys: [*keys, key("a")])
    assert len(kept(path)) == 1


@pytest.mark.parametrize("text", ["{", '{"keys": [{}]}', "\0", '{"keys": 3}'])
def test_a_damaged_file_opens_nothing_and_is_kept_beside_the_new_one(
    path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(text)
    with caplog.at_level(logging.ERROR):
        assert kept(path) == []
    assert "is damaged" in caplog.text
    KeyFile(path).change(lambda keys: [*keys, key("a")])
    assert [each.name for each in kept(path)] == ["a"]
    [aside] = path.parent.glob("keys.json.damaged-*")
    assert aside.read_text() == text


def test_a_file_that_can_t_be_read_now_says_nothing_and_is_tried_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = KeyFile(path)
    path.mkdir()
    with caplog.at_level(logging.ERROR):
        assert [file.read(), file.read()] == [None, None]
    assert caplog.text.count("can't be read") == 1
    assert file.has_changed()
    path.rmdir()
    assert file.read() == []


def test_a_queen_that_hangs_with_the_lock_is_not_waited_for_long(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rbee.queen.keys.key_file._LOCK_WITHIN_S", 0.02)
    KeyFile(path).change(lambda keys: [key("a")])
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StateNotWritable, match="another queen keeps it locked"):
            KeyFile(path).change(lambda keys: [])
    KeyFile(path).change(lambda keys: [])
    assert kept(path) == []


def test_a_digest_that_is_none_is_damage(path: Path) -> None:
    KeyFile(path).change(lambda keys: [key("a")])
    path.write_text(path.read_text().replace("0" * 64, "short"))
    assert kept(path) == []


def test_what_a_change_raises_leaves_the_keys(path: Path) -> None:
    def refuse(_: list[StoredKey]) -> list[StoredKey]:
        raise NotFound.of("name", "a name", "No such key")

    KeyFile(path).change(lambda keys: [key("a")])
    with pytest.raises(NotFound):
        KeyFile(path).change(refuse)
    assert len(kept(path)) == 1


def test_a_folder_that_is_gone_is_told(path: Path) -> None:
    with pytest.raises(StateNotWritable, match=r"keys\.json"):
        KeyFile(path / "not" / "there").change(lambda keys: [key("a")])
