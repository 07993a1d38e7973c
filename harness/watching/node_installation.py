"""What rbee on a node is installed from, what the node lacks for it, and what is there afterwards.

In other places, and in another version, the judged programs are put without pip.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from harness.ssh.node import Node
from harness.watching import keeper_output
from harness.world import processes
from harness.world.commands import INSTALLED
from harness.world.world import World

_TREE = Path(__file__).parents[2]
_PARTS = ("pyproject.toml", "rbee", "README.md", "LICENSE", "CHANGELOG.md")
_PYTHONS = ("python3.13", "python3.12", "python3.11", "python3")
_VERSION = re.compile(r'^__version__ = "([^"]+)"', re.MULTILINE)
_CLICK = re.compile('"click>=[^"]+"')
_STEPS = ("cloning", "sending", "building", "complete")
_ENVIRONMENT = ".venv"
# Compiling everything takes half of pip's time. pip reads this option the wrong way round, and says
# so in its guide: 0 turns the compiling off.
_NO_BYTE_CODE = {"PIP_NO_COMPILE": "0"}


class Repository:
    """This working tree as it is now, on a branch with another name; features call it
    <repository>. Its default branch is another one, with an older version."""

    def __init__(self, world: World, branch: str) -> None:
        self.folder = world.root / "repository.git"
        self.folder.mkdir()
        self._world = world
        self._git("init", "--quiet", "--initial-branch", "main")
        for name in _PARTS:
            source, target = _TREE / name, self.folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        version, self._branch = self.version, "main"
        self.release("0.0.1")
        self._git("branch", branch)
        self._branch = branch
        self.release(version)
        world.placeholders["repository"] = str(self.folder)

    def release(self, version: str) -> None:
        """Commit another version to its branch."""
        file = self.folder / "rbee" / "__init__.py"
        file.write_text(_VERSION.sub(f'__version__ = "{version}"', file.read_text()))
        self.commit = self._commit()
        self._world.placeholders["version of the repository"] = version

    def break_dependencies(self) -> None:
        """Let what is on its branch need a package that does not exist."""
        file = self.folder / "pyproject.toml"
        file.write_text(_CLICK.sub('"click>=8888"', file.read_text()))
        self.commit = self._commit()

    @property
    def version(self) -> str:
        found = _VERSION.search((self.folder / "rbee" / "__init__.py").read_text())
        assert found
        return found[1]

    def _commit(self) -> str:
        self._git("symbolic-ref", "HEAD", f"refs/heads/{self._branch}")
        found = commit(self.folder, "rbee")
        self._git("symbolic-ref", "HEAD", "refs/heads/main")
        return found

    def _git(self, *words: str) -> None:
        git(self.folder, *words)


def commit(folder: Path, message: str) -> str:
    """Commit everything in a clone; return the commit."""
    git(folder, "add", "--all")
    author = "-c", "user.name=lab", "-c", "user.email=lab@home.arpa"
    git(folder, *author, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def git(folder: Path, *words: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def share_packages(node: Node, wheels: Path) -> None:
    """Let the node's pip find the packages that are in that folder, and nothing else."""
    node.extra_environment |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        **_NO_BYTE_CODE,
    }


def make_offline(node: Node) -> None:
    """Take away git and the package index; every other program of this machine is there."""
    folder = node.root / "programs"
    folder.mkdir()
    for place in ("/usr/local/bin", "/usr/bin", "/bin"):
        for program in Path(place).iterdir():
            link = folder / program.name
            if not program.name.startswith("git") and not link.is_symlink():
                link.symlink_to(program)
    python = folder / "python{}.{}".format(*sys.version_info)
    python.unlink(missing_ok=True)
    python.symlink_to(sys.executable)
    node.path = [str(node.bin), str(folder)]
    node.extra_environment |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"http://{node.address}:9/",
        **_NO_BYTE_CODE,
    }


def fake_python(node: Node, version: str) -> None:
    """Let every Python on the node be of this version."""
    for name in _PYTHONS:
        node.put_program(name, f"echo {version}")


def put_notes(node: Node, folder: str) -> Path:
    file = node.home / folder / "notes.txt"
    file.parent.mkdir()
    file.write_text("mine")
    return file


def folder_contents(node: Node, folder: str) -> list[str]:
    return sorted(path.name for path in (node.home / folder).iterdir())


def home_listing(node: Node) -> dict[str, str]:
    """Return everything in its home: files by their hash, folders and links by their kind."""

    def describe(path: Path) -> str:
        if path.is_symlink():
            return f"link to {path.readlink()}"
        return "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()

    return {str(path.relative_to(node.home)): describe(path) for path in node.home.rglob("*")}


def pip_processes(node: Node) -> list[str]:
    """Return the command lines of the installs that run on the node."""
    lines = [processes.describe(process) for process in node.processes()]
    return [line for line in lines if "-m pip install" in line]


def hive_version(node: Node, folder: str) -> str:
    """Return the version that the installed program prints on the node."""
    return _said(node, folder, "rbee-hive", "--version").split()[-1]


def update(node: Node, folder: str) -> dict[str, Any]:
    """Return what the installed keeper knows there of newer ones."""
    found: dict[str, Any] = json.loads(_said(node, folder, "rbee-keeper", "update", "--json"))
    return found


def _said(node: Node, folder: str, program: str, *arguments: str) -> str:
    done = subprocess.run(
        [node.home / folder / _ENVIRONMENT / "bin" / program, *arguments],
        env=node.environment(),
        cwd=node.home,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def worker_detects(node: Node, folder: str) -> bool:
    """Whether the installed worker loads llama.cpp and says what it can use."""
    program = node.home / folder / _ENVIRONMENT / "bin" / "llm-worker-rbee"
    done = subprocess.run(
        [program, "detect", "--json"], env=node.environment(), cwd=node.home, capture_output=True
    )
    return done.returncode == 0 and b"cpu" in done.stdout


def narrated_steps(stderr: str, node: str) -> list[str]:
    """Return which of the three steps were narrated, in order, in lines that name the node."""
    found: list[str] = []
    for line in keeper_output.narration(stderr):
        step = line.split()[2].rstrip(":")
        named = re.search(rf" (on|to) {node}\b", line)  # a path has it, too
        if step in _STEPS and named and step not in found:
            found.append(step)
    return found


# A program's own environment names the file that started it: a wrapper leaves no trace in its
# command line.
_STARTED_BY = "HARNESS_PROGRAM"


def put_programs(node: Node, folder: Path) -> None:
    """Put the judged programs into a folder of the node."""
    for role, name in INSTALLED.items():
        program = shlex.quote(str(folder / name))
        judged = shlex.join(node.commands.argv(role))
        node.put_program(name, f'export {_STARTED_BY}={program}\nexec {judged} "$@"', folder)


def started_by(process: psutil.Process) -> str | None:
    """Return the path of the program that `put_programs` made and that this process runs."""
    return process.environ().get(_STARTED_BY)


def install_version(node: Node, version: str) -> None:
    """Put the judged hive first on the node's PATH, and let it print another version of itself."""
    judged = shlex.join(node.commands.argv("hive"))
    own = re.escape(version_of(node.commands.argv("hive")))
    edited = f"{judged} \"$@\" | sed --unbuffered 's/\\b{own}\\b/{version}/g'"
    node.put_program(INSTALLED["hive"], f"{edited}\nexit ${{PIPESTATUS[0]}}", shell="/bin/bash")


def add_cards(node: Node, folder: Path, backend: str, count: int) -> None:
    """Let the judged hive in that folder detect some cards that this machine does not have."""
    judged = shlex.join(node.commands.argv("hive"))
    backends = rf's/("backends":\s*\[)\s*("cpu")/\1"{backend}",\2/'
    devices = rf's/("devices":\s*\{{)\s*("cpu")/\1"{backend}":{count},\2/'
    edit = f"{judged} \"$@\" | sed -E --null-data '{backends};{devices}'"
    script = f'if [ "$1" = detect ]; then {edit}; else exec {judged} "$@"; fi'
    node.put_program(INSTALLED["hive"], script, folder)


def version_of(argv: Sequence[str]) -> str:
    """Return the version that a program prints of itself."""
    done = subprocess.run([*argv, "--version"], check=True, capture_output=True, text=True)
    return done.stdout.split()[-1]
