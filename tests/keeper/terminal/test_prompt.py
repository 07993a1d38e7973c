"""Where a prompt comes from, and that it is not changed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rbee.contract import endpoints as ep
from rbee.contract.events import Accepted, Done, Token
from rbee.keeper.cli import main

FakeQueen = Any
Asked = Callable[..., str]

ANSWER = [Accepted("r-1"), Token("Once", 0), Done(True, 1, 5.0, 1, 0, 1.0, 9.0, "EOS")]


def run(*words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["infer", *words], input=stdin)


@pytest.fixture
def asked(fake_queen: FakeQueen) -> Asked:
    """Run `infer` and give the only message that the queen was asked with."""
    fake_queen.on(ep.QUEEN_TASKS, ANSWER)

    def ask(*words: str, stdin: bytes | None = None) -> str:
        done = run(*words, stdin=stdin)
        assert done.exit_code == 0, done.stderr
        [message] = fake_queen.body(ep.QUEEN_TASKS)["messages"]
        assert message["role"] == "user"
        return str(message["content"])

    return ask


@pytest.mark.parametrize(
    "text", ["hi", "@letter.txt", "-x", "--prompt", "file:/etc/passwd", " a\n"]
)
def test_a_literal_prompt_is_never_read_as_something_else(asked: Asked, text: str) -> None:
    assert asked(f"--prompt={text}", stdin=b"not this") == text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"one\n", "one"),
        (b"one", "one"),
        (b"one\r\n", "one"),
        (b"one\n\n", "one\n"),
        (b" one\ntwo \n", " one\ntwo "),
        ("\ufeffmärz 🐝\n".encode(), "märz 🐝"),
    ],
)
def test_a_file_is_sent_without_its_last_line_end(
    asked: Asked, tmp_path: Path, content: bytes, expected: str
) -> None:
    file = tmp_path / "letter.txt"
    file.write_bytes(content)
    assert asked("--prompt-file", str(file), stdin=b"not this") == expected
    assert asked("--prompt", "-", stdin=content) == expected
    assert asked("-f", "-", stdin=content) == expected
    assert asked(stdin=content) == expected


def test_the_prompt_is_placed_above_the_file(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("text\n")
    assert asked("-p", "Shorter:", "-f", str(tmp_path / "f")) == "Shorter:\n\ntext"
    assert asked("-p", "Shorter:", "-f", "-", stdin=b"text\n") == "Shorter:\n\ntext"


def test_a_raw_prompt_is_sent_unchanged(fake_queen: FakeQueen, tmp_path: Path) -> None:
    fake_queen.on(ep.QUEEN_TASKS, ANSWER)
    (tmp_path / "f").write_text("text\n")
    assert run("--raw", "-f", str(tmp_path / "f")).exit_code == 0
    assert fake_queen.body(ep.QUEEN_TASKS)["prompt"] == "text\n"


def test_the_system_text_is_a_message_of_its_own(fake_queen: FakeQueen) -> None:
    fake_queen.on(ep.QUEEN_TASKS, ANSWER)
    assert run("-p", "hi", "--system", "Be brief.").exit_code == 0
    assert fake_queen.body(ep.QUEEN_TASKS)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]


def test_sampling_flags_are_sent_as_given_and_have_defaults(fake_queen: FakeQueen) -> None:
    fake_queen.on(ep.QUEEN_TASKS, ANSWER)
    flags = "--top-p 0.5 --top-k 7 --min-p 0.1 --repeat-penalty 1.2 --keep-alive 10m --ignore-eos"
    assert run("-p", "hi", *flags.split()).exit_code == 0
    body = fake_queen.body(ep.QUEEN_TASKS)
    names = ("top_p", "top_k", "min_p", "repeat_penalty", "keep_alive", "ignore_eos")
    assert [body[name] for name in names] == [0.5, 7, 0.1, 1.2, "10m", True]
    assert run("-p", "hi", "--keep-alive", "-1").exit_code == 0
    body = fake_queen.body(ep.QUEEN_TASKS)
    assert [body[name] for name in names] == [0.95, 40, 0.05, 1.0, "-1", False]


@pytest.mark.parametrize(
    ("words", "stdin", "told"),
    [
        (["-f", "{tmp}/none"], None, "none can't be read: No such file"),
        (["-f", "{tmp}"], None, "can't be read: Is a directory"),
        (["-f", "{tmp}/binary"], None, "binary is not text"),
        (["-f", "{tmp}/latin"], None, "latin is not UTF-8 text: see byte 1"),
        (["-f", "{tmp}/empty"], None, "empty is empty"),
        (["-f", "{tmp}/space"], None, "space is empty"),
        (["-p", "hi", "-f", "{tmp}/empty"], None, "empty is empty"),
        (["-p", "-"], b"\xff\xfe", "Standard input is not UTF-8 text"),
        (["-p", "-"], b"\n", "The prompt is empty"),
        (["-p", ""], None, "The prompt is empty"),
        ([], b"", "--prompt"),
        ([], b" ", "The prompt is empty"),
        (["-p", "hi", "--raw", "--system", "s"], None, "--raw"),
        (["--interactive"], None, "needs a terminal"),
        (["--interactive", "--json"], None, "--json"),
        (["--interactive", "--raw"], None, "--raw"),
    ],
)
def test_a_prompt_that_can_not_be_used_is_wrong_usage(
    fake_queen: FakeQueen, tmp_path: Path, words: list[str], stdin: bytes | None, told: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "latin").write_bytes("käse".encode("latin-1"))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "space").write_bytes(b"\n \n")
    done = run(*(word.format(tmp=tmp_path) for word in words), stdin=stdin)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert told in done.stderr
    assert "Try 'main infer --help'" in done.stderr
    assert fake_queen.paths() == []


def test_ctrl_c_while_a_prompt_is_read_cancels_the_command(
    fake_queen: FakeQueen, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = [sys.executable, "-m", "rbee.keeper", "infer", "--prompt-file", str(pipe)]
    keeper = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with pipe.open("w"):  # which waits until the keeper reads
        keeper.send_signal(signal.SIGINT)
        outputs = keeper.communicate(timeout=10)
    assert (keeper.returncode, *outputs) == (130, "", "Canceled.\n")
    assert fake_queen.paths() == []
