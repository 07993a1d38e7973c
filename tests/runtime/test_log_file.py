"""Outputs that go to a file: put aside when it is full, or when it was moved away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rbee.runtime.log_file import all_of, rotated

# A daemon's outputs are its own: so each is a process.
_BEGIN = """
import os, sys
from pathlib import Path
from rbee.runtime.log_file import LogFile
path = Path(sys.argv[1])
log = LogFile(path, float(sys.argv[2]), int(sys.argv[3]), check_every_s=3600)
log.redirect()
def say(words):
    print(words, flush=True)
def native(words):
    os.write(2, words.encode() + b"\\n")
"""


def run(path: Path, script: str, max_mb: float = 0.001, files: int = 3) -> None:
    argv = [sys.executable, "-c", _BEGIN + script, str(path), str(max_mb), str(files)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rbee-hive.log"


def words(path: Path) -> list[str]:
    return [file.read_text() for file in all_of(path)]


def test_both_outputs_and_what_is_native_go_to_the_file(path: Path) -> None:
    run(path, "say('one'); print('two', file=sys.stderr, flush=True); native('three')")
    assert path.read_text() == "one\ntwo\nthree\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_goes_on(path: Path) -> None:
    path.write_text("of yesterday\n")
    run(path, "say('of today')")
    assert path.read_text() == "of yesterday\nof today\n"


def test_a_full_file_is_put_aside(path: Path) -> None:
    run(path, "native('x' * 1000); log.check(); native('new'); say('too')")
    assert words(path) == ["x" * 1000 + "\n", "new\ntoo\n"]


def test_one_that_is_not_full_stays(path: Path) -> None:
    run(path, "say('x' * 900); log.check(); say('more')")
    assert [file.name for file in all_of(path)] == ["rbee-hive.log"]


def test_one_that_is_full_at_the_start_is_put_aside_then(path: Path) -> None:
    path.write_text("y" * 2000)
    run(path, "say('new')")
    assert words(path) == ["y" * 2000, "new\n"]


def test_so_many_are_kept(path: Path) -> None:
    run(path, "for n in range(6):\n    say(str(n) * 1000); log.check()\nsay('new')")
    assert [text[:1] for text in words(path)] == ["4", "5", "n"]
    assert len(list(path.parent.iterdir())) == 3


def test_none_goes_as_long_as_there_are_not_so_many(path: Path) -> None:
    run(path, "for n in range(6):\n    say(str(n) * 1000); log.check()\nsay('new')", files=9)
    assert [text[:1] for text in words(path)] == [*"012345", "n"]


def test_one_is_enough(path: Path) -> None:
    run(path, "for n in range(3):\n    say(str(n) * 1000); log.check()\nsay('new')", files=1)
    assert words(path) == ["new\n"]
    assert len(list(path.parent.iterdir())) == 1


def test_those_of_a_time_when_more_were_kept_go(path: Path) -> None:
    path.touch()
    for number in range(1, 6):
        rotated(path, number).write_text(str(number))
    run(path, "say('x' * 1000); log.check(); say('new')", files=2)
    assert words(path) == ["x" * 1000 + "\n", "new\n"]


def test_one_that_was_moved_away_is_begun_anew(path: Path) -> None:
    run(path, "say('old'); path.rename(path.with_name('moved')); log.check(); say('new')")
    assert path.read_text() == "new\n"
    assert path.with_name("moved").read_text() == "old\n"


def test_two_daemons_of_one_home_lose_none_of_their_words(path: Path) -> None:
    script = "for n in range(300):\n    native(sys.argv[4] + str(n)); log.check()"
    argv = [sys.executable, "-c", _BEGIN + script, str(path), "0.0005", "90"]
    both = [subprocess.Popen([*argv, name]) for name in ("a", "b")]
    assert [one.wait(30) for one in both] == [0, 0]
    found = "".join(words(path)).split()
    for name in ("a", "b"):
        assert [word for word in found if word[0] == name] == [f"{name}{n}" for n in range(300)]


def test_nothing_of_a_log_is_no_file(path: Path) -> None:
    assert all_of(path) == []
