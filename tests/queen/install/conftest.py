"""A node that is this machine in another HOME, and a repository with a small rbee for it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from rbee.queen.ssh.connection import Result

_BACKEND = """
import zipfile

FILES = {
    "rbee/__init__.py": "def main():\\n    print('rbee-hive, version @version')\\n",
    "llama_cpp.py": "@llama",
    "rbee-@version.dist-info/METADATA": "Metadata-Version: 2.1\\nName: rbee\\nVersion: @version\\n",
    "rbee-@version.dist-info/WHEEL":
        "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "rbee-@version.dist-info/entry_points.txt":
        "[console_scripts]\\nrbee-hive = rbee:main\\n",
    "rbee-@version.dist-info/RECORD": "",
}


def build_wheel(folder, *_):
    @before
    name = "rbee-@version-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        for path, text in FILES.items():
            wheel.writestr(path, text)
    return name
"""
_PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "rbee"
version = "1"
"""


class LocalNode:
    """`Remote` with a local sh. `scripts` come before everything else on its PATH."""

    def __init__(self, folder: Path) -> None:
        self.node = "workstation"
        self.home = folder / "home"
        self.scripts = folder / "bin"
        self.home.mkdir(parents=True)
        self.scripts.mkdir()
        (self.scripts / "python3.11").symlink_to(sys.executable)
        self.path = f"{self.scripts}:{Path(sys.executable).parent}:/usr/bin:/bin"
        self.asked: list[tuple[str, ...]] = []
        # Instead of running a command that has this word.
        self.replies: dict[str, Result] = {}

    def program(self, name: str, text: str) -> None:
        """A program of the node, in sh."""
        file = self.scripts / name
        file.unlink(missing_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    async def run(
        self,
        script: str,
        *words: str,
        within_s: float = 30.0,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        self.asked.append(words)
        for word in self.replies.keys() & set(words):
            return self.replies[word]
        environment = {"HOME": str(self.home), "PATH": self.path, "PIP_NO_INDEX": "1"}
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", script, "rbee", *words),
            cwd=self.home,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(within_s):
            out, err = await process.communicate()
        for line in err.decode().splitlines():
            if on_line is not None:
                on_line(line)
        assert process.returncode is not None
        return Result(process.returncode, out.decode(), err.decode())

    async def put(self, source: Path | bytes, path: str) -> None:
        content = source if isinstance(source, bytes) else source.read_bytes()
        (self.home / path).write_bytes(content)


class Repository:
    """On the branch `trunk`; what is in it says its version when it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "-b", "trunk")
        self.write("1.0")

    def git(self, *words: str) -> str:
        who = {f"GIT_{role}_{part}": "test" for role in ("AUTHOR", "COMMITTER") for part in _WHO}
        environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null"}
        done = subprocess.run(
            ["git", *words], cwd=self.folder, env=environment, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    def write(self, version: str, before: str = "pass", llama: str = "") -> str:
        """A commit of the small rbee; `before` is done by its build, `llama` by its llama_cpp."""
        text = _BACKEND
        for name, value in (("version", version), ("before", before), ("llama", llama)):
            text = text.replace(f"@{name}", value)
        (self.folder / "backend.py").write_text(textwrap.dedent(text))
        (self.folder / "pyproject.toml").write_text(_PROJECT)
        (self.folder / ".gitignore").write_text("__pycache__\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", version)
        return self.git("rev-parse", "HEAD")

    def build(self, folder: Path) -> Path:
        """The wheel of what is in it."""
        words = [sys.executable, "-c", f"import backend; backend.build_wheel({str(folder)!r})"]
        subprocess.run(words, cwd=self.folder, check=True)
        (wheel,) = folder.glob("*.whl")
        return wheel


_WHO = ("NAME", "EMAIL")


@pytest.fixture
def node(tmp_path: Path) -> LocalNode:
    return LocalNode(tmp_path / "node")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")
