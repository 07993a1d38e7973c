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


NOTHING = "Nothing was changed."
BUILD = (
    "rbee can't be installed on workstation: llama.cpp is compiled there, and there is no C and "
    "C++ compiler. → Install one there: sudo apt install build-essential, or xcode-select "
    f"--install. {NOTHING}"
)
CANNOT = "rbee can't be installed on workstation:"
CLONE = f"{CANNOT} /home/you/rbee on workstation"


@pytest.mark.parametrize(
    ("survey", "more", "words"),
    [
        (
            {"tools": ["cc", "c++"]},
            {},
            f"{CANNOT} git is not installed there. → Install it there (sudo apt install git), or "
            f"use --wheel, which needs no git. {NOTHING}",
        ),
        (
            {"clone": True, "origin": "https://me:secret@other"},
            {},
            f"{CLONE} is a clone of https://…@other. → Move it away, or choose another "
            f"install_path. {NOTHING}",
        ),
        (
            {"clone": True, "origin": ""},
            {},
            f"{CLONE} is a clone of something else. → Move it away, or choose another "
            f"install_path. {NOTHING}",
        ),
        (
            {"clone": True, "origin": URL, "changes": [" M a.py", "?? b.py"]},
            {},
            f"{CLONE} has changes that are not committed (a.py, b.py). → Commit or stash them. "
            f"{NOTHING}",
        ),
        (
            {"clone": True, "origin": URL, "unpushed": 2},
            {},
            f"{CLONE} has 2 commits that are nowhere else. → Push them. {NOTHING}",
        ),
        (
            {"venv": False},
            {},
            f"{CANNOT} its Python 3.11.2 can't make virtual environments (no ensurepip). → "
            "Install it there: sudo apt install python3-venv (or python3.11-venv). "
            f"{NOTHING}",
        ),
        (
            {},
            {"backend": "cuda"},
            f"{CANNOT} llama.cpp can't be built for cuda without nvcc. → Install NVIDIA's CUDA "
            f"toolkit there; its bin folder must be on PATH. {NOTHING}",
        ),
        (
            {},
            {"backend": "vulkan"},
            f"{CANNOT} llama.cpp can't be built for vulkan without glslc. → Install the Vulkan "
            f"SDK there: sudo apt install libvulkan-dev glslc {NOTHING}",
        ),
        ({"tools": ["git"]}, {}, BUILD),
        ({"tools": ["git", "cc"]}, {}, BUILD),
        ({"tools": ["git", "g++"]}, {}, BUILD),
        ({"tools": ["git", "nvcc"], "prebuilt": True}, {"backend": "cuda"}, BUILD),
    ],
)
def test_what_stands_against_it_in_its_words(
    survey: dict[str, Any], more: dict[str, Any], words: str
) -> None:
    assert refused(but(**survey), **more) == words


@pytest.mark.parametrize("pair", [("cc", "c++"), ("gcc", "g++"), ("clang", "clang++")])
def test_any_pair_of_compilers_will_do(pair: tuple[str, str]) -> None:
    assert refused(but(tools=["git", *pair])) == ""


def test_what_is_sent_needs_no_compiler_and_what_is_sent_for_a_backend_does() -> None:
    assert refused(but(tools=["git"]), whole=True) == ""
    assert refused(but(tools=["git", "glslc"]), whole=True, backend="vulkan") == BUILD
    mac = msgspec.structs.replace(LINUX, platform="darwin")
    assert refused(but(machine=mac), backend="metal") == ""


@pytest.mark.parametrize(
    ("survey", "more", "entry"),
    [
        (
            {"others": ["a", "b"]},
            {},
            {
                "field": "install_path",
                "constraint": "empty",
                "message": "/home/you/rbee on workstation holds something else (a, b); nothing "
                "was changed there",
                "value": "/home/you/rbee",
            },
        ),
        (
            {"foreign_venv": True},
            {},
            {
                "field": "install_path",
                "constraint": "empty",
                "message": "/home/you/rbee on workstation holds something else (a virtual "
                "environment in .venv that somebody made); nothing was changed there",
                "value": "/home/you/rbee",
            },
        ),
        (
            {},
            {"backend": "metal"},
            {
                "field": "backend",
                "constraint": "platform",
                "message": "Only Macs have Metal, and workstation is not a Mac",
                "value": None,
            },
        ),
    ],
)
def test_a_request_that_can_not_be_met_names_its_field(
    survey: dict[str, Any], more: dict[str, Any], entry: dict[str, Any]
) -> None:
    error = plan.refusal(wanted(**more), but(**survey), PYTHON, False)
    assert isinstance(error, InvalidRequest)
    assert error.details["errors"] == [entry]


def test_a_missing_program_is_in_the_details() -> None:
    error = plan.refusal(wanted(), but(tools=[]), PYTHON, False)
    assert isinstance(error, ProgramFailed)
    assert error.details["program"] == "git"
    assert error.details["reason"] == "git is not installed there"


def test_a_repository_and_a_branch_are_asked_for_in_whole() -> None:
    with pytest.raises(InvalidRequest) as none:
        plan.check(wanted(git_repo_url=None))
    assert none.value.details["errors"] == [
        {
            "field": "git_repo_url",
            "constraint": "required",
            "message": "workstation has no repository to install from: give it one with "
            "`rbee-keeper setup add-node --name workstation … --git-repo URL`, or send what is "
            "installed here with `rbee-keeper setup install --node workstation --wheel`",
            "value": None,
        }
    ]
    with pytest.raises(InvalidRequest) as branch:
        plan.check(wanted(git_branch="-f"))
    assert branch.value.details["errors"] == [
        {
            "field": "git_branch",
            "constraint": "pattern",
            "message": "This is not the name of a branch",
            "value": "-f",
        }
    ]
    plan.check(wanted(git_repo_url=None, git_branch="-f", wheel=True))
    plan.check(wanted(git_branch="feature/x-1"))


def test_a_python_that_is_too_old_is_told_in_whole() -> None:
    found = [FoundPython("/a", (3, 9, 2)), FoundPython("/b", (3, 10, 12))]
    with pytest.raises(ProgramFailed) as caught:
        plan.choose_python("workstation", found)
    reason = "the newest Python there is 3.10.12, and rbee needs 3.11 or later"
    assert caught.value.message == f"{CANNOT} {reason}."
    assert (caught.value.details["program"], caught.value.details["reason"]) == ("python3", reason)
    assert caught.value.advice == (
        "Install a newer Python on workstation, for instance with `uv python install 3.12` or "
        f"`sudo apt install python3.12 python3.12-venv`. {NOTHING}"
    )
    oldest = FoundPython("/c", (3, 11))
    assert plan.choose_python("workstation", [*found, oldest]) is oldest


def test_the_arguments_of_pip_in_whole() -> None:
    quiet = ["install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    build = ["--no-binary", "llama-cpp-python", "--no-cache-dir"]
    assert plan.pip_arguments(".", None) == [*quiet, "."]
    assert plan.pip_arguments(".", "cpu", whole=True) == [*quiet, "--no-index", "."]
    assert plan.pip_arguments("x", "metal", sent=True) == [*quiet, *build, "--find-links", ".", "x"]
    cmake = [plan.cmake_arguments(backend) for backend in ("metal", "vulkan", "rocm")]
    assert cmake == ["-DGGML_METAL=on", "-DGGML_VULKAN=on", ""]


def test_why_a_program_failed_in_its_words() -> None:
    assert plan.reason_of("llama.cpp", -4, "noise") == (
        "llama.cpp was compiled for another processor; `--backend cpu` without `--wheel` "
        "compiles it there"
    )
    assert plan.reason_of("llama.cpp", 4, "") == "llama.cpp ended with 4"
    assert plan.reason_of("llama.cpp", -6, "") == "llama.cpp was ended by signal 6"
    assert plan.reason_of("pip", -4, "") == "pip was ended by signal 4"
    assert plan.reason_of("pip", 0, "a\nb") == "pip ended with 0\na\nb"


def test_the_last_twelve_lines_are_shown_without_what_a_terminal_needs() -> None:
    said = "".join(f"line {number}  \n" for number in range(20))
    assert plan.last_lines(said) == "\n".join(f"line {number}" for number in range(8, 20))
    assert plan.last_lines("10 %\r20 %\r\n\x07a\tb\x7f") == "10 %\n20 %\na\tb"
    assert plan.last_lines("hint: x\n[notice] y\nnote: z\n the hint: stays") == " the hint: stays"
    assert plan.last_lines("see https://me:token@host/x") == "see https://…@host/x"
    assert plan.redacted("ssh://a@b http://c@d") == "ssh://…@b http://…@d"


def test_the_difference_of_two_machines_in_its_words() -> None:
    def but_for(**more: Any) -> Machine:
        return msgspec.structs.replace(LINUX, **more)

    assert difference(LINUX, but_for(architecture="arm64"), False) == "it is linux on arm64"
    abi = "cpython-312-x86_64-linux-gnu"
    assert difference(LINUX, but_for(abi=abi), False) == (
        f"its Python is {abi}, and here it is {LINUX.abi}"
    )
    assert difference(LINUX, but_for(glibc=[2, 9]), False) == (
        "its glibc is 2.9, and here it is 2.36"
    )
    assert difference(LINUX, but_for(processor=["fpu"]), True) == "its processor lacks avx, avx2"
