"""What is decided of an installation before it begins."""

from __future__ import annotations

import shlex
from typing import Any

import msgspec
import pytest

from rbee.contract.errors import InvalidRequest, ProgramFailed
from rbee.queen.install import plan
from rbee.queen.install.node_python import python_arguments
from rbee.queen.install.plan import FoundPython, Installation, Machine, Survey, difference

LINUX = Machine("linux", "cpython-311-x86_64-linux-gnu", "x86_64", [2, 36], ["avx", "avx2", "fpu"])
PYTHON = FoundPython("/usr/bin/python3.11", (3, 11, 2))
URL = "https://example.org/rbee.git"
READY = Survey(
    folder="/home/you/rbee",
    machine=LINUX,
    venv=True,
    tools=["git", "cc", "c++"],
    prebuilt=False,
    others=[],
    clone=False,
    foreign_venv=False,
)


def wanted(**more: Any) -> Installation:
    return Installation(**{"node": "workstation", "git_repo_url": URL, **more})


def refused(survey: Survey, whole: bool = False, **more: Any) -> str:
    """What the person is told, and advised."""
    error = plan.refusal(wanted(**more), survey, PYTHON, whole)
    return f"{error.message} → {error.advice}" if error else ""


def but(**more: Any) -> Survey:
    return msgspec.structs.replace(READY, **more)


@pytest.mark.parametrize(
    ("remote", "node", "folder"),
    [("/srv/rbee", "~/mine", "/srv/rbee"), (None, "~/mine", "~/mine"), (None, None, "~/rbee")],
)
def test_the_folder_is_remotes_then_the_nodes_then_rbee_in_the_home(remote, node, folder) -> None:
    assert plan.folder_of(remote, node) == folder


@pytest.mark.parametrize("branch", ["a:b", "+main", "a b", "x^", "-f", ""])
def test_a_branch_that_git_would_take_for_more_is_refused(branch) -> None:
    with pytest.raises(InvalidRequest, match="git_branch"):
        plan.check(wanted(git_branch=branch))


def test_the_python_that_wheels_from_here_are_for_is_looked_for_first() -> None:
    assert plan.python_names(None) == ["python3.13", "python3.12", "python3.11", "python3"]
    assert plan.python_names((3, 11))[0] == "python3.11"
    assert plan.python_names((3, 14))[:2] == ["python3.14", "python3.13"]


def test_the_first_python_that_is_new_enough_is_taken() -> None:
    old, new = FoundPython("/a", (3, 9, 2)), FoundPython("/b", (3, 14, 0))
    assert plan.choose_python("workstation", [old, new]) is new
    with pytest.raises(ProgramFailed, match=r"newest Python there is 3\.9\.2"):
        plan.choose_python("workstation", [old])
    with pytest.raises(ProgramFailed, match="no Python 3 was found"):
        plan.choose_python("workstation", [])


def test_nothing_stands_against_a_node_that_has_what_is_needed() -> None:
    assert refused(READY) == ""
    assert refused(but(clone=True, origin=URL)) == ""
    assert refused(but(tools=["git"], prebuilt=True)) == ""
    assert refused(but(tools=[]), wheel=True, whole=True) == ""


@pytest.mark.parametrize(
    ("survey", "more", "says"),
    [
        ({"others": ["notes.txt"]}, {}, "notes.txt"),
        ({"foreign_venv": True}, {}, "somebody made"),
        ({"tools": ["cc", "c++"]}, {}, "--wheel"),
        ({"clone": True, "origin": "https://me:secret@other"}, {}, "a clone of https://…@other"),
        ({"clone": True, "origin": URL, "changes": [" M a.py"]}, {}, "not committed (a.py)"),
        ({"clone": True, "origin": URL, "unpushed": 2}, {}, "2 commits"),
        ({"venv": False}, {}, "python3.11-venv"),
        ({"tools": ["git"]}, {}, "build-essential"),
        ({"tools": ["git"]}, {"wheel": True}, "build-essential"),
        ({"tools": ["git"], "prebuilt": True}, {"backend": "cuda"}, "nvcc"),
        ({"tools": ["git", "nvcc"], "prebuilt": True}, {"backend": "cuda"}, "build-essential"),
        ({}, {"backend": "vulkan"}, "glslc"),
        ({}, {"backend": "metal"}, "Only Macs"),
    ],
)
def test_what_stands_against_it_is_told(survey, more, says) -> None:
    assert says in refused(but(**survey), **more)


def test_an_upgrade_builds_llama_for_what_it_was_built_for() -> None:
    cuda = but(backend="cuda")
    assert plan.backend_of(wanted(), cuda) == "cuda"
    assert plan.backend_of(wanted(backend="cpu"), cuda) == "cpu"
    assert plan.backend_of(wanted(), READY) is None


def test_pip_builds_for_a_backend_and_asks_nobody_where_all_was_sent() -> None:
    cuda = plan.pip_arguments(".", "cuda")
    assert cuda[-1] == "."
    assert {"--no-binary", "llama-cpp-python", "--no-cache-dir"} <= set(cuda)
    assert plan.cmake_arguments("cuda") == "-DGGML_CUDA=on"
    assert plan.cmake_arguments("cpu") == plan.cmake_arguments(None) == ""
    whole = plan.pip_arguments("./x.whl", None, sent=True, whole=True)
    assert whole[-4:] == ["--no-index", "--find-links", ".", "./x.whl"]
    assert "--no-index" not in plan.pip_arguments("./x.whl", None, sent=True)
    assert "--no-index" not in plan.pip_arguments("./x.whl", "vulkan", sent=True, whole=True)


def test_a_password_in_an_address_is_not_shown() -> None:
    said = "fatal: could not read https://me:token@host/x and ssh://git@host/y"
    assert plan.redacted(said) == "fatal: could not read https://…@host/x and ssh://…@host/y"
    assert plan.redacted("git@host:you/rbee") == "git@host:you/rbee"


def test_of_a_long_output_the_last_telling_lines_are_shown() -> None:
    said = "first\n" * 50 + "\x1b[31mERROR: it broke\x1b[0m\n\n  note: This is not about pip\n"
    assert plan.last_lines(said, count=2) == "first\nERROR: it broke"
    assert plan.reason_of("pip", 1, "no\n") == "pip ended with 1\nno"
    assert plan.reason_of("pip", -9, "") == "pip was ended by signal 9"


@pytest.mark.parametrize(
    ("theirs", "native", "why"),
    [
        (LINUX, True, None),
        (Machine("darwin", "x", "arm64", [], []), False, "it is darwin on arm64"),
        (msgspec.structs.replace(LINUX, abi="cpython-312-x86_64-linux-gnu"), False, "cpython-312"),
        (msgspec.structs.replace(LINUX, abi="cpython-311-x86_64-linux-musl"), False, "musl"),
        (msgspec.structs.replace(LINUX, glibc=[2, 31]), False, "glibc is 2.31"),
        (msgspec.structs.replace(LINUX, glibc=[2, 40]), False, None),
        (msgspec.structs.replace(LINUX, processor=["avx"]), True, "lacks avx2"),
        (msgspec.structs.replace(LINUX, processor=["avx", "avx2"]), True, None),
        (msgspec.structs.replace(LINUX, processor=["avx"]), False, None),
    ],
)
def test_packages_from_here_are_sent_only_where_they_run(theirs, native, why) -> None:
    found = difference(LINUX, theirs, native)
    assert found == why if why is None else why in (found or "")


def test_what_is_sent_to_the_node_is_short_enough_for_a_small_ssh_server() -> None:
    """dropbear takes 9000 bytes; addresses and quotes come on top."""
    assert len(shlex.join(python_arguments())) < 8000
