"""git and pip on the node: run to their end, and ended with everything that they started as soon as
nobody waits for them.

Every second while one runs an empty line is written. Where that can't be, whoever asked is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

_BEAT_S = 1.0
_GRACE_S = 5.0


class FailedError(Exception):
    """A program failed; a negative `code` is the number of a signal."""

    def __init__(self, program: str, code: int) -> None:
        super().__init__(f"{program} ended with {code}")
        self.program = program
        self.code = code


def run(program: str, words: list[str], cwd: Path, more: dict[str, str] | None = None) -> None:
    """Run it to its end. Raises FailedError; any other exception ends the program, too."""
    process = subprocess.Popen(
        words,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(more or {})},
        stdin=subprocess.DEVNULL,
        stdout=2,
        stderr=2,
        start_new_session=True,
    )
    try:
        while True:
            try:
                code = process.wait(_BEAT_S)
                break
            except subprocess.TimeoutExpired:
                os.write(2, b"\n")
    except BaseException:
        _end(process)
        raise
    if code != 0:
        raise FailedError(program, code)


def _end(process: subprocess.Popen[bytes]) -> None:
    """TERM first: ninja's compilers are in groups of their own, and only ninja can end them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)


def _git_environment(root: Path) -> dict[str, str]:
    """It must not ask for a password, nor take a repository further up for this one."""
    return {"GIT_TERMINAL_PROMPT": "0", "GIT_CEILING_DIRECTORIES": str(root.parent)}


def git(root: Path, *words: str) -> None:
    run("git", ["git", "-c", "init.defaultBranch=main", *words], root, _git_environment(root))


def git_says(root: Path, *words: str) -> str:
    """The output of git; empty if it fails."""
    environment = {**os.environ, "LC_ALL": "C", **_git_environment(root)}
    found = subprocess.run(
        ["git", *words], cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True
    )
    return os.fsdecode(found.stdout).rstrip("\n") if found.returncode == 0 else ""


def in_git(root: Path, name: str) -> Path:
    """The path of one of git's own files."""
    return root / git_says(root, "rev-parse", "--git-path", name)
