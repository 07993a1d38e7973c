"""The environment on a node: in the place of the one before only when it works. venv and pip are
left out here; in test_install.py they are there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rbee.queen.install.on_node.environment import build, make_wheel_folder
from rbee.queen.install.on_node.processes import FailedError
from rbee.queen.install.on_node.survey import survey

_EXEC = "#!/bin/sh\n'''exec' \"{}/bin/python\" \"$0\" \"$@\"\n' '''\n"


class Programs:
    """In the place of venv, pip and what is installed: `fails` names one that fails."""

    def __init__(self) -> None:
        self.fails: str | None = None
        self.ran: list[str] = []
        self.more: dict[str, str] = {}
        self.head = "#!{}/bin/python\n"

    def __call__(
        self, program: str, words: list[str], cwd: Path, more: dict[str, str] | None = None
    ) -> None:
        self.ran.append(program)
        self.more |= more or {}
        if program == "venv":
            scripts = Path(words[-1]) / "bin"
            scripts.mkdir(parents=True)
            (scripts / "python").symlink_to(sys.executable)
            text = self.head.format(words[-1]) + "import sys; print(sys.executable)\n"
            (scripts / "rbee-hive").write_text(text)
            (scripts / "rbee-hive").chmod(0o755)
        if program == self.fails:
            raise FailedError(program, 1)

    def build(self, folder: Path, name: str, backend: str = "", cmake: str = "") -> None:
        build(str(folder), name, ".", backend, cmake, "install", run=self)


@pytest.fixture
def programs() -> Programs:
    return Programs()


@pytest.fixture
def folder(tmp_path: Path, programs: Programs) -> Path:
    """With an environment named `old`."""
    programs.build(tmp_path, "old")
    return tmp_path


@pytest.fixture
def running(folder: Path) -> Iterator[None]:
    """Something runs in the old one."""
    words = [folder / ".venvs" / "old" / "bin" / "python", "-c", "input('it runs')"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    # A moment after its start it has no command line yet.
    assert process.stdout.read(1) == b"i"
    yield
    process.communicate()


def there(folder: Path) -> set[str]:
    return {path.name for path in (folder / ".venvs").iterdir()}


def test_the_new_one_takes_the_place_of_the_old_one(folder, programs) -> None:
    programs.build(folder, "new")
    assert (folder / ".venv").readlink() == Path(".venvs/new")
    assert there(folder) == {"new"}


def test_the_old_one_stays_as_long_as_something_runs_in_it(folder, programs, running) -> None:
    programs.build(folder, "new")
    assert (folder / ".venv").readlink() == Path(".venvs/new")
    assert there(folder) == {"new", "old"}


@pytest.mark.parametrize("program", ["venv", "pip", "rbee-hive", "llama.cpp"])
def test_one_that_does_not_work_is_removed_and_the_old_one_counts(
    folder, programs, program
) -> None:
    programs.fails = program
    make_wheel_folder(str(folder), "new")
    with pytest.raises(FailedError):
        programs.build(folder, "new")
    assert (folder / ".venv").readlink() == Path(".venvs/old")
    assert there(folder) == {"old"}


def test_what_was_cut_off_is_swept_up_by_the_next(folder, programs) -> None:
    (folder / ".venvs" / "half").mkdir()
    (folder / ".venvs" / "half.link").symlink_to(".venvs/half")
    make_wheel_folder(str(folder), "half")
    programs.build(folder, "new")
    assert there(folder) == {"new"}


def test_what_llama_is_built_for_is_remembered(folder, programs) -> None:
    programs.build(folder, "new", "cuda", "-DGGML_CUDA=on")
    assert programs.more["CMAKE_ARGS"].endswith("-DGGML_CUDA=on")
    assert survey(str(folder), "main")["backend"] == "cuda"
    programs.build(folder, "newer")
    assert survey(str(folder), "main")["backend"] is None


@pytest.mark.parametrize("head", ["#!{}/bin/python\n", _EXEC])
def test_no_shell_reads_the_name_of_the_folder(tmp_path, programs, head) -> None:
    programs.head = head
    folder = tmp_path / 'a "b" $(touch pwned) `touch pwned` it\'s'
    programs.build(folder, "new")
    hive = folder / ".venv" / "bin" / "rbee-hive"
    said = subprocess.run([hive], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(folder / ".venvs" / "new" / "bin" / "python")
    assert list(tmp_path.iterdir()) == [folder]


def test_scripts_are_left_as_pip_makes_them_where_the_folder_has_a_plain_name(folder) -> None:
    hive = (folder / ".venv" / "bin" / "rbee-hive").read_text()
    assert hive.startswith(f"#!{folder}/.venvs/old/bin/python\n")
