"""What rbee on a node is installed from, what the node lacks for it, and what is there afterwards.

Copies of the programs in other places and in another version are made without pip.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from harness.ssh.node import Node
from harness.watching import keeper_output
from harness.world import processes
from harness.world.commands import INSTALLED, SCRIPTS
from harness.world.world import World

_TREE = Path(__file__).parents[2]
_PARTS = ("pyproject.toml", "rbee", "README.md", "LICENSE", "CHANGELOG.md")
_PYTHONS = ("python3.13", "python3.12", "python3.11", "python3")
_VERSION = re.compile(r'^__version__ = "([^"]+)"', re.MULTILINE)
_CLICK = re.compile('"click>=[^"]+"')
_STEPS = ("cloning", "sending", "building", "complete")
_ENVIRONMENT = ".venv"


class Repository:
    """This working tree as it is now, on a branch with another name; features call it
    <repository>."""

    def __init__(self, world: World, branch: str) -> None:
        self.folder = world.root / "repository.git"
        self.folder.mkdir()
        self._git("init", "--quiet", "--initial-branch", branch)
        for name in _PARTS:
            source, target = _TREE / name, self.folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        self.commit = self._commit()
        world.placeholders["repository"] = str(self.folder)

    def release(self, version: str) -> None:
        """Commit another version to its branch."""
        file = self.folder / "rbee" / "__init__.py"
        file.write_text(_VERSION.sub(f'__version__ = "{version}"', file.read_text()))
        self.commit = self._commit()

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
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "rbee")
        return git(self.folder, "rev-parse", "HEAD")

    def _git(self, *words: str) -> None:
        git(self.folder, "-c", "user.name=lab", "-c", "user.email=lab@home.arpa", *words)


def git(folder: Path, *words: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def share_packages(node: Node, wheels: Path) -> None:
    """Let the node's pip find the packages that are in that folder, and nothing else."""
    node.extra_environment |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_COMPILE": "1",  # takes a third of the time
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
        "PIP_NO_COMPILE": "1",
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
    program = node.home / folder / _ENVIRONMENT / "bin" / "rbee-hive"
    done = subprocess.run(
        [program, "--version"],
        env=node.environment(),
        cwd=node.home,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()[-1]


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
        if step in _STEPS and node in line and step not in found:
            found.append(step)
    return found


_PACKAGE_VERSION = re.compile(r'^(__version__ = )"([^"]+)"', re.MULTILINE)
_PROGRAMS = {"hive": "rbee.hive", "worker": "rbee.worker"}


def copy_programs(folder: Path) -> None:
    """Copy the console scripts, which run from any folder."""
    folder.mkdir(parents=True)
    for name in INSTALLED.values():
        shutil.copy(SCRIPTS / name, folder / name)


def install_version(node: Node, version: str) -> None:
    """Put the same package with another version first on the node's PATH."""
    folder = node.root / f"rbee-{version}"
    package = shutil.copytree(
        _package(), folder / "rbee", ignore=shutil.ignore_patterns("__pycache__")
    )
    source = package / "__init__.py"
    text, count = _PACKAGE_VERSION.subn(rf'\1"{version}"', source.read_text())
    assert count == 1, f"no version in {source}"
    source.write_text(text)
    for role, module in _PROGRAMS.items():
        script = f'PYTHONPATH="{folder}" exec {sys.executable} -m {module} "$@"'
        node.put_program(INSTALLED[role], script)


def package_version() -> str:
    """Return the version of the installed package, read from its source."""
    found = _PACKAGE_VERSION.search((_package() / "__init__.py").read_text())
    assert found
    return found[2]


def _package() -> Path:
    """The folder is found without importing the package."""
    found = importlib.util.find_spec("rbee")
    assert found, "rbee is not installed"
    assert found.origin
    return Path(found.origin).parent
