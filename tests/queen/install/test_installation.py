"""rbee brought to a node by the real git, venv and pip, and what it is told on the way."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.world.waiting import wait_until
from rbee.contract.errors import InvalidRequest, ProgramFailed
from rbee.queen.install.installation import install
from rbee.queen.install.plan import Installation, Installed, Machine
from rbee.queen.install.wheels import Packed
from rbee.queen.ssh.connection import Result


class Told:
    """What was narrated."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, actor: str, emoji: str, text: str) -> None:
        assert actor == "queen-rbee"
        self.lines.append(text)

    def steps(self) -> list[str]:
        """The first words of each line, without those that tell how a step goes on."""
        return [line.split(" ", 1)[0].rstrip(":") for line in self.lines if "so far" not in line]


def wanted(url: Path | None, **more: Any) -> Installation:
    return Installation(
        node="workstation", git_repo_url=url and str(url), git_branch="trunk", **more
    )


async def test_a_clone_is_installed_and_the_steps_are_told(node, repository) -> None:
    told = Told()
    found = await install(node, wanted(repository.folder), told)
    assert found == Installed("1.0", str(node.home / "rbee"), None)
    assert told.steps()[:4] == ["workstation", "cloning", "building", "complete"]
    assert all("workstation" in line for line in told.lines)
    hive = await node.run('"$1"', str(node.home / "rbee/.venv/bin/rbee-hive"))
    assert hive.out == "rbee-hive, version 1.0\n"
    clone = str(node.home / "rbee")
    assert repository.git("-C", clone, "status", "--porcelain") == ""


async def test_wheels_arrive_in_a_folder_with_any_name(node, repository, tmp_path) -> None:
    """No git is there, and pip may ask nobody."""
    wheel = repository.build(tmp_path)

    def pack(*_: object) -> Packed:
        return Packed([wheel], whole=True)

    node.path = node.path.replace(":/usr/bin:/bin", "")
    for tool in ("sh", "dirname", "readlink"):
        (node.scripts / tool).symlink_to(f"/bin/{tool}")
    name = 'my "own" $(touch pwned) `touch pwned` it\'s'
    told = Told()
    asked = wanted(None, wheel=True, folder=f"~/{name}")
    found = await install(node, asked, told, pack=pack)
    folder = node.home / name
    assert found == Installed("1.0", str(folder), None)
    hive = await node.run('"$1"', str(folder / ".venv/bin/rbee-hive"))
    assert hive.out == "rbee-hive, version 1.0\n"
    assert not list(tmp_path.rglob("pwned"))
    assert told.steps()[:4] == ["workstation", "sending", "building", "complete"]
    assert not list((folder / ".venvs").glob("*.wheels"))


async def test_what_was_compiled_for_another_processor_is_told_as_such(node, repository) -> None:
    repository.write("1.0")
    node.replies["build"] = Result(1, '{"failed": "llama.cpp", "code": -4}', "")
    with pytest.raises(ProgramFailed, match="compiled for another processor") as failed:
        await install(node, wanted(repository.folder), Told())
    assert failed.value.message.startswith("building on workstation failed")
    assert "as it was" in failed.value.advice


async def test_a_repository_that_is_not_there_is_told_in_gits_own_words(node, tmp_path) -> None:
    with pytest.raises(ProgramFailed, match="does not appear to be a git repository") as failed:
        await install(node, wanted(tmp_path / "nowhere"), Told())
    assert failed.value.details["program"] == "git"
    assert failed.value.message.startswith("cloning on workstation failed")


async def test_without_a_repository_both_ways_out_are_named(node) -> None:
    with pytest.raises(InvalidRequest, match=r"--git-repo.*--wheel"):
        await install(node, wanted(None), Told())
    assert node.asked == []


async def test_a_python_that_is_too_old_is_told_before_anything_is_changed(
    node, repository
) -> None:
    node.path = str(node.scripts)
    (node.scripts / "python3.11").unlink()
    node.program("python3", "echo 3.9.2")
    node.program("python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    with pytest.raises(ProgramFailed, match=r"3\.9\.2, and rbee needs 3\.11") as failed:
        await install(node, wanted(repository.folder), Told())
    assert failed.value.details["program"] == "python3"
    assert list(node.home.iterdir()) == []


async def test_a_missing_git_is_told_before_anything_is_changed(node, repository) -> None:
    node.path = str(node.scripts)
    with pytest.raises(ProgramFailed, match="git is not installed there") as failed:
        await install(node, wanted(repository.folder), Told())
    assert "--wheel" in failed.value.advice
    assert list(node.home.iterdir()) == []


async def test_a_folder_with_something_else_in_it_is_left_alone(node, repository) -> None:
    folder = node.home / "rbee"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match=r"something else \(notes\.txt\)"):
        await install(node, wanted(repository.folder), Told())
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


async def test_an_environment_that_somebody_made_is_left_alone(node, repository) -> None:
    folder = node.home / "rbee"
    (folder / ".venv" / "bin").mkdir(parents=True)
    with pytest.raises(InvalidRequest, match="somebody made"):
        await install(node, wanted(repository.folder), Told())
    assert [path.name for path in folder.iterdir()] == [".venv"]


async def test_how_a_long_step_goes_on_is_told(node, repository, tmp_path) -> None:
    told = Told()
    with pytest.raises(ProgramFailed):
        await install(node, wanted(tmp_path / "nowhere"), told, progress_every_s=0.01)
    assert any("cloning on workstation, 0 s so far" in line for line in told.lines)


def test_the_machine_is_described_as_the_packing_wants_it() -> None:
    from rbee.queen.install.on_node.survey import machine

    assert set(machine()) == set(Machine.__struct_fields__)


def test_who_asks_and_goes_leaves_nothing_running(tmp_path) -> None:
    """A dropped connection closes the outputs, and that is all that the node sees of it."""
    script = (
        "from pathlib import Path; from rbee.queen.install.on_node.processes import run;"
        "run('sh', ['sh', '-c', 'echo $$ >&2; sleep 60 & wait'], Path('/'))"
    )
    asked = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    assert asked.stderr is not None
    group = int(asked.stderr.readline())
    asked.stderr.close()
    assert asked.wait(10) != 0

    def left() -> list[list[str]]:
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                if os.getpgid(one.pid) == group and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one.cmdline())
        return found

    wait_until("all of it to end", left, 10, lambda found: not found)
