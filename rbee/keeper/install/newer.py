"""Whether a newer rbee can be had, and the command that gets it. pip or git are asked: they know
where this installation came from, and how to get there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence

import msgspec

from rbee import __version__
from rbee.contract.errors import ProgramFailed
from rbee.contract.versions import is_older
from rbee.keeper.install.origin import Origin

WITHIN_S = 20.0
_PACKAGE = "rbee"
_PIP = (sys.executable, "-m", "pip")
# `-vv` tells apart an index that has no such package from one that does not answer.
_ASK = ("index", "versions", _PACKAGE, "-vv", "--no-input", "--retries", "1", "--timeout", "5",
        "--disable-pip-version-check", "--no-color")  # fmt: skip
_LATEST = re.compile(rf"^{_PACKAGE} \((\S+)\)$", re.MULTILINE)
_UNFETCHED = re.compile(r"^\s*Could not fetch URL \S+: (?!404 )(.*)$", re.MULTILINE)
_CAUSE = re.compile(r"\[Errno -?\d+\] ([^'\")]+)")


class Newer(msgspec.Struct, frozen=True):
    """`newest` is a version or a commit, None if nobody can be asked for one; `command` gets what
    is new, None if nothing is. `says` is a sentence or two for a person."""

    installed: str
    newest: str | None
    command: str | None
    says: str


async def look(origin: Origin) -> Newer:
    """Ask for what is new. Raises PROGRAM_FAILED if that can't be known now."""
    if origin.kind == "index":
        return await _on_the_index()
    if origin.kind == "clone":
        return await _in_the_clone(origin)
    if origin.kind == "repository":
        return await _in_the_repository(origin)
    if origin.kind == "folder":
        command = _install(origin)
        says = (
            f"rbee {__version__} comes from the folder {origin.place}, which is not a git clone. "
            f"Once there is something new in it: {command}"
        )
        if origin.editable:
            says = (
                f"rbee {__version__} runs from the folder {origin.place}, which is not a git "
                "clone. What is new in it counts at once."
            )
    else:
        says = (
            f"rbee {__version__} comes from the file {origin.place}, and a file does not say where "
            f"newer ones are. When you have one: {_pip('--upgrade')} FILE"
        )
    return Newer(__version__, None, None, says)


async def _on_the_index() -> Newer:
    command = _pip("--upgrade", _PACKAGE)
    _, said = await _run([*_PIP, *_ASK], "pip", command)
    if "No module named pip" in said:
        raise ProgramFailed(
            "This environment has no pip, so the package index could not be asked.",
            program="pip",
            reason="it is not installed",
            hint=f"Update rbee with what installed it, such as: "
            f"uv pip install --python {shlex.quote(sys.executable)} --upgrade {_PACKAGE}",
        )
    found = _LATEST.search(said)
    if found is not None and is_older(__version__, found[1]):
        says = f"rbee {found[1]} is new; {__version__} is installed here."
        return Newer(__version__, found[1], command, says)
    if failed := _UNFETCHED.search(said):
        cause = _CAUSE.search(failed[1])
        reason = cause[1] if cause else "timed out" if "time" in failed[1] else "no usable answer"
        raise _could_not("The package index could not be asked", "pip", reason, command)
    if found is not None:
        says = f"rbee {__version__} is installed here, and the package index has nothing newer."
        return Newer(__version__, found[1], None, says)
    raise ProgramFailed(
        "The package index that pip uses here has no package rbee.",
        program="pip",
        reason="no package rbee",
        hint=f"Update rbee from where you got it: {_pip('--upgrade')} FILE-OR-FOLDER",
    )


async def _in_the_clone(origin: Origin) -> Newer:
    folder = origin.place
    git = ["git", "-C", folder]
    command = f"{shlex.join([*git, 'pull'])} --ff-only && {_install(origin)}"
    branch = (await _run([*git, "rev-parse", "--abbrev-ref", "HEAD"], "git", command))[1].strip()
    _, remote = await _run([*git, "config", f"branch.{branch}.remote"], "git", command)
    _, merged = await _run([*git, "config", f"branch.{branch}.merge"], "git", command)
    if not remote.strip() or not merged.strip():
        raise ProgramFailed(
            f"rbee {__version__} comes from the clone {folder}, which follows no branch of another "
            "repository.",
            program="git",
            reason="no upstream",
            hint=f"Bring what is new into it yourself, then: {_install(origin)}",
        )
    newest = await _commit_at(remote.strip(), merged.strip(), folder, command)
    known = [*git, "merge-base", "--is-ancestor", newest, "HEAD"]
    whence = f"rbee {__version__} comes from the clone {folder}"
    if (await _run(known, "git", command))[0] == 0:
        says = f"{whence}, and the branch that it follows has nothing newer."
        return Newer(__version__, newest[:7], None, says)
    says = f"{whence}. Its branch {branch} has newer commits, up to {newest[:7]}."
    return Newer(__version__, newest[:7], command, says)


async def _in_the_repository(origin: Origin) -> Newer:
    at = f"@{origin.branch}" if origin.branch else ""
    command = _pip("--upgrade", "--force-reinstall", f"{_PACKAGE} @ git+{origin.place}{at}")
    newest = await _commit_at(origin.place, origin.branch or "HEAD", "/", command)
    whence = f"rbee {__version__} comes from {origin.place}{at}"
    if newest == origin.commit:
        return Newer(__version__, newest[:7], None, f"{whence}, which has nothing newer.")
    says = f"{whence}, which has newer commits, up to {newest[:7]}."
    return Newer(__version__, newest[:7], command, says)


async def _commit_at(repository: str, branch: str, folder: str, command: str) -> str:
    asked = ["git", "-C", folder, "ls-remote", "--exit-code", "--", repository, branch]
    code, said = await _run(asked, "git", command)
    found = re.search(r"^([0-9a-f]{40,64})\t", said, re.MULTILINE)
    if code == 0 and found is not None:
        return found[1]
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    reason = lines[0].removeprefix("fatal: ") if lines else f"it has no {branch} any more"
    raise _could_not("The repository could not be asked", "git", reason, command)


def _could_not(what: str, program: str, reason: str, command: str) -> ProgramFailed:
    return ProgramFailed(
        f"{what}: {reason.rstrip('.')}.",
        program=program,
        reason=reason,
        hint=f"Try again later. What is new then comes with: {command}",
    )


def _install(origin: Origin) -> str:
    return _pip(*(["--editable"] if origin.editable else []), origin.place)


def _pip(*words: str) -> str:
    return shlex.join([*_PIP, "install", *words])


async def _run(words: Sequence[str], program: str, command: str) -> tuple[int, str]:
    """Its exit code, and what it says; nobody is asked for a password. Raises PROGRAM_FAILED if it
    does not start or does not end."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # no terminal on which ssh could ask
        )
    except OSError as error:
        raise ProgramFailed(program=program, reason=f"{error.strerror}.") from None
    try:
        said, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    except TimeoutError:
        reason = f"no answer within {WITHIN_S:g} s"
        raise _could_not(f"{program} was stopped", program, reason, command) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with git's own children
            await process.wait()
    return process.returncode or 0, said.decode(errors="replace")
