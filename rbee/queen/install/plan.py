"""Decide how rbee is installed on a node: into which folder, from where, with which pip
arguments; and why it can't be, before anything is changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from rbee.contract.errors import InvalidRequest, ProgramFailed, RbeeError
from rbee.contract.nodes import Detected

Backend = Literal["cpu", "cuda", "metal", "vulkan"]

DEFAULT_FOLDER = "~/rbee"
OLDEST = (3, 11)
_NEWEST = (3, 13)
_CMAKE = {"cuda": "-DGGML_CUDA=on", "metal": "-DGGML_METAL=on", "vulkan": "-DGGML_VULKAN=on"}
# What a backend's build needs beside a compiler, and where it comes from.
_KITS = {
    "cuda": ("nvcc", "Install NVIDIA's CUDA toolkit there; its bin folder must be on PATH."),
    "vulkan": ("glslc", "Install the Vulkan SDK there: sudo apt install libvulkan-dev glslc"),
}
# What llama.cpp's own code is compiled for, where it is compiled for the machine that it is on.
_COMPUTES = r"avx|amx|fma|f16c|bmi|sse|ssse|asimd|i8mm|sve|sme|bf16|fphp"
_QUIET = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
_SIGILL = 4
_BRANCH = r"[^\s~^:?*\[\\+-][^\s~^:?*\[\\]*"


class Machine(msgspec.Struct, frozen=True):
    """`abi` names the Python, its version, the architecture and the kind of libc; `glibc` is its
    version, empty where there is none; `processor` what it can do, by the kernel's names."""

    platform: str
    abi: str
    architecture: str
    glibc: list[int]
    processor: list[str]


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted. `folder` as `folder_of` says; `backend` None: as it was before, else whatever
    pip installs."""

    node: str
    folder: str = DEFAULT_FOLDER
    git_repo_url: str | None = None
    git_branch: str = "main"
    wheel: bool = False
    backend: Backend | None = None


class Installed(msgspec.Struct, frozen=True):
    """What is there now. `folder` is absolute there; `detected` is None if that failed."""

    version: str
    folder: str
    detected: Detected | None


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What is on the node before anything is changed.

    `venv`: Python can make environments with pip in them. `tools`: which of the build tools are
    there. `prebuilt`: pip may find llama.cpp compiled. `others`: what else is in the folder.
    `foreign_venv`: somebody else made the `.venv` in it. `changes` and `unpushed` are the person's
    own work in the clone, `backend` is what llama.cpp was built for last time.
    """

    folder: str
    machine: Machine
    venv: bool
    tools: list[str]
    prebuilt: bool
    others: list[str]
    clone: bool
    foreign_venv: bool
    backend: str | None = None
    origin: str = ""
    changes: list[str] = []
    unpushed: int = 0

    @property
    def compiler(self) -> bool:
        found = set(self.tools)
        return bool({"cc", "gcc", "clang"} & found) and bool({"c++", "g++", "clang++"} & found)


class FoundPython(msgspec.Struct, frozen=True):
    path: str
    version: tuple[int, ...]

    @property
    def release(self) -> str:
        return ".".join(map(str, self.version))


def folder_of(git_repo_dir: str | None, install_path: str | None) -> str:
    """`[remote] git_repo_dir`, then the node's own install_path, then ~/rbee."""
    return git_repo_dir or install_path or DEFAULT_FOLDER


def check(wanted: Installation) -> None:
    """Whether it is possible at all. Raises INVALID_REQUEST."""
    if wanted.wheel:
        return
    if wanted.git_repo_url is None:
        raise InvalidRequest.of(
            "git_repo_url",
            "required",
            f"{wanted.node} has no repository to install from: give it one with `rbee-keeper setup "
            f"add-node --name {wanted.node} … --git-repo URL`, or send what is installed here with "
            f"`rbee-keeper setup install --node {wanted.node} --wheel`",
        )
    if not re.fullmatch(_BRANCH, wanted.git_branch):
        raise InvalidRequest.of(
            "git_branch", "pattern", "This is not the name of a branch", wanted.git_branch
        )


def python_names(own: tuple[int, int] | None) -> list[str]:
    """The commands to try, the best first. `own` is preferred: the version that the wheels from
    this machine are for."""
    versions = [(3, minor) for minor in range(_NEWEST[1], OLDEST[1] - 1, -1)]
    if own is not None:
        versions = [own, *(version for version in versions if version != own)]
    return [*(f"python{major}.{minor}" for major, minor in versions), "python3"]


def choose_python(node: str, found: Sequence[FoundPython]) -> FoundPython:
    """The first one that is new enough. Raises PROGRAM_FAILED."""
    for python in found:
        if python.version[:2] >= OLDEST:
            return python
    newest = max(found, key=lambda python: python.version, default=None)
    known = f"the newest Python there is {newest.release}" if newest else "no Python 3 was found"
    reason = f"{known}, and rbee needs 3.11 or later"
    raise ProgramFailed(
        f"rbee can't be installed on {node}: {reason}.",
        program="python3",
        reason=reason,
        hint=f"Install a newer Python on {node}, for instance with `uv python install 3.12` or "
        "`sudo apt install python3.12 python3.12-venv`. Nothing was changed.",
    )


def refusal(
    wanted: Installation, survey: Survey, python: FoundPython, whole: bool
) -> RbeeError | None:
    """Why it can't be installed; None if it can. `whole`: every package is sent, and nothing is
    compiled there."""
    node, folder, backend = wanted.node, survey.folder, backend_of(wanted, survey)

    def lacks(program: str, reason: str, hint: str) -> ProgramFailed:
        message = f"rbee can't be installed on {node}: {reason}."
        return ProgramFailed(
            message, program=program, reason=reason, hint=f"{hint} Nothing was changed."
        )

    if survey.others or survey.foreign_venv:
        held = ", ".join(survey.others) or "a virtual environment in .venv that somebody made"
        return InvalidRequest.of(
            "install_path",
            "empty",
            f"{folder} on {node} holds something else ({held}); nothing was changed there",
            folder,
        )
    if not wanted.wheel and "git" not in survey.tools:
        hint = "Install it there (sudo apt install git), or use --wheel, which needs no git."
        return lacks("git", "git is not installed there", hint)
    if not wanted.wheel and survey.clone and (found := _why_not_ours(wanted, survey)):
        return lacks("git", *found)
    if not survey.venv:
        package = "python{}.{}-venv".format(*python.version)
        reason = f"its Python {python.release} can't make virtual environments (no ensurepip)"
        hint = f"Install it there: sudo apt install python3-venv (or {package})."
        return lacks("python3", reason, hint)
    if backend == "metal" and survey.machine.platform != "darwin":
        return InvalidRequest.of(
            "backend", "platform", f"Only Macs have Metal, and {node} is not a Mac"
        )
    for kit, hint in [_KITS[backend]] if backend in _KITS else []:
        if kit not in survey.tools:
            return lacks(kit, f"llama.cpp can't be built for {backend} without {kit}", hint)
    compiled = backend in _CMAKE or not (whole or survey.prebuilt)
    if compiled and not survey.compiler:
        hint = "Install one there: sudo apt install build-essential, or xcode-select --install."
        return lacks("c++", "llama.cpp is compiled there, and there is no C and C++ compiler", hint)
    return None


def _why_not_ours(wanted: Installation, survey: Survey) -> tuple[str, str] | None:
    """Why the clone must not be touched, and what to do about it."""
    there = f"{survey.folder} on {wanted.node}"
    if survey.origin != wanted.git_repo_url:
        known = redacted(survey.origin) or "something else"
        return f"{there} is a clone of {known}", "Move it away, or choose another install_path."
    if survey.changes:
        files = ", ".join(change[3:] for change in survey.changes)
        return f"{there} has changes that are not committed ({files})", "Commit or stash them."
    if survey.unpushed:
        one = survey.unpushed == 1
        known = "1 commit that is" if one else f"{survey.unpushed} commits that are"
        return f"{there} has {known} nowhere else", "Push it." if one else "Push them."
    return None


def backend_of(wanted: Installation, survey: Survey) -> str | None:
    """What llama.cpp is built for: an upgrade keeps what was chosen before."""
    return wanted.backend or survey.backend


def cmake_arguments(backend: str | None) -> str:
    return _CMAKE.get(backend or "", "")


def pip_arguments(
    what: str, backend: str | None, *, sent: bool = False, whole: bool = False
) -> list[str]:
    """The arguments with which pip installs `what`. `sent`: wheels are in its folder; `whole`: all
    that it needs.

    A build for a backend does not use a llama.cpp that pip has built before for another one.
    """
    if backend in _CMAKE:
        own = ["--no-binary", "llama-cpp-python", "--no-cache-dir"]
    else:
        own = ["--no-index"] if whole else []
    links = ["--find-links", "."] if sent else []
    return ["install", *_QUIET, *own, *links, what]


def reason_of(program: str, code: int, output: str) -> str:
    """Why a program failed there; a negative `code` is the number of a signal."""
    if program == "llama.cpp" and code == -_SIGILL:
        return (
            "llama.cpp was compiled for another processor; `--backend cpu` without `--wheel` "
            "compiles it there"
        )
    how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
    lines = last_lines(output)
    return f"{program} {how}" + (f"\n{lines}" if lines else "")


def redacted(text: str) -> str:
    """Without the password or token of any address in it."""
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1…@", text)


def last_lines(output: str, count: int = 12) -> str:
    """The last lines of a program's output, for a person to read: without colours, empty lines, and
    pip's hints that say nothing of the cause."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", output)
    lines = [line.rstrip() for line in plain.replace("\r", "\n").splitlines()]
    useful = [line for line in lines if line and not re.match(r"\s*(note|hint|\[notice\])", line)]
    return redacted("\n".join(useful[-count:]))


def difference(ours: Machine, theirs: Machine, native: bool) -> str | None:
    """Why the packages of this machine can't run there; None if they can. `native`: some were
    compiled for this very processor."""
    if ours.platform != theirs.platform or ours.architecture != theirs.architecture:
        return f"it is {theirs.platform} on {theirs.architecture}"
    if ours.abi != theirs.abi:
        return f"its Python is {theirs.abi}, and here it is {ours.abi}"
    if theirs.glibc < ours.glibc:
        return f"its glibc is {_dotted(theirs.glibc)}, and here it is {_dotted(ours.glibc)}"
    if native:
        lacking = sorted(set(ours.processor) - set(theirs.processor))
        if found := [name for name in lacking if re.match(_COMPUTES, name)]:
            return f"its processor lacks {', '.join(found)}"
    return None


def _dotted(parts: list[int]) -> str:
    return ".".join(map(str, parts))
