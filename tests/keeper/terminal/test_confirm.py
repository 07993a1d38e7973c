"""An unknown host key at a terminal: it is shown, and the person is asked; Ctrl+C cancels."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pexpect
import pytest

from rbee.contract import endpoints as ep
from rbee.contract.errors import SshConnectionFailed
from rbee.contract.registry import NodeAdded

FakeQueen = Any
AtTerminal = Callable[..., Any]

FINGERPRINT = "SHA256:" + "a" * 43
OTHER = "SHA256:" + "b" * 43
ADDED = NodeAdded(True, "workstation is added.", "workstation", "0.1.0")
QUESTION = "Trust it? [y/N]: "


def unknown(fingerprint: str) -> SshConnectionFailed:
    return SshConnectionFailed(
        host="w.home.arpa",
        port=22,
        reason="the host key is not known",
        fingerprint=fingerprint,
        key_type="ssh-ed25519",
    )


@pytest.fixture
def at_terminal(fake_queen: FakeQueen) -> Iterator[AtTerminal]:
    """`setup add-node` at a terminal, of a node whose key nobody knows."""
    fake_queen.on(ep.QUEEN_ADD_NODE, unknown(FINGERPRINT), ADDED)
    with contextlib.ExitStack() as stack:

        def start(*flags: str, redirected: str = "") -> Any:
            words = [sys.executable, "-m", "rbee.keeper", "setup", "add-node"]
            words += ["--name", "workstation", "--ssh-host", "w.home.arpa", *flags]
            line = f"exec {shlex.join(words)} {redirected}"
            program = pexpect.spawn("sh", ["-c", line], timeout=20, encoding="utf-8")
            stack.callback(program.close, force=True)
            return program

        yield start


@pytest.fixture
def asked(at_terminal: AtTerminal) -> Any:
    """The same, up to the question."""
    program = at_terminal()
    program.expect_exact(QUESTION)
    return program


def ended(program: Any) -> int:
    program.expect(pexpect.EOF)
    program.wait()
    return int(program.exitstatus)


def test_the_key_is_shown_before_the_question(asked: Any) -> None:
    assert "ssh-ed25519" in asked.before
    assert FINGERPRINT in asked.before
    assert "w.home.arpa" in asked.before


@pytest.mark.parametrize("answer", ["y", "YES", " yes "])
def test_with_yes_the_queen_is_asked_again_with_the_key(
    asked: Any, fake_queen: FakeQueen, answer: str
) -> None:
    asked.sendline(answer)
    assert ended(asked) == 0
    assert "workstation is added." in asked.before
    assert fake_queen.paths() == [ep.QUEEN_ADD_NODE.path] * 2
    assert fake_queen.body(ep.QUEEN_ADD_NODE)["accept_host_key"] == FINGERPRINT
    assert fake_queen.body(ep.QUEEN_ADD_NODE)["ssh_host"] == "w.home.arpa"


@pytest.mark.parametrize("answer", ["\r", "n\r", "No\r", "\x04"])
def test_every_other_answer_means_no(asked: Any, fake_queen: FakeQueen, answer: str) -> None:
    asked.send(answer)
    assert ended(asked) == 1
    assert "Error [SSH_CONNECTION_FAILED]" in asked.before
    assert fake_queen.paths() == [ep.QUEEN_ADD_NODE.path]


def test_an_unclear_answer_is_asked_for_again(asked: Any, fake_queen: FakeQueen) -> None:
    asked.sendline("maybe")
    asked.expect_exact(QUESTION)
    asked.sendline("y")
    assert ended(asked) == 0


def test_ctrl_c_ends_the_question_at_once(asked: Any, fake_queen: FakeQueen) -> None:
    asked.sendintr()
    assert ended(asked) == 130
    assert "\r\nCanceled." in asked.before
    assert fake_queen.paths() == [ep.QUEEN_ADD_NODE.path]


def test_the_end_of_the_terminal_ends_the_question(asked: Any) -> None:
    asked.kill(signal.SIGHUP)
    assert ended(asked) == 130


@pytest.mark.parametrize("redirected", ["< /dev/null", "2>&1 | cat"])
def test_without_a_terminal_nobody_is_asked(
    at_terminal: AtTerminal, fake_queen: FakeQueen, redirected: str
) -> None:
    program = at_terminal(redirected=redirected)
    program.expect(pexpect.EOF)
    assert f"--accept-host-key {FINGERPRINT}" in program.before.replace("\r\n", "")
    assert "Trust it" not in program.before
    assert fake_queen.paths() == [ep.QUEEN_ADD_NODE.path]


def test_nobody_is_asked_after_naming_another_fingerprint(
    at_terminal: AtTerminal, fake_queen: FakeQueen
) -> None:
    program = at_terminal("--accept-host-key", OTHER)
    assert ended(program) == 1
    assert "Trust it" not in program.before
    assert fake_queen.paths() == [ep.QUEEN_ADD_NODE.path]


def test_another_key_the_second_time_is_refused_and_not_asked_for(
    asked: Any, fake_queen: FakeQueen
) -> None:
    fake_queen.on(ep.QUEEN_ADD_NODE, unknown(OTHER))
    asked.sendline("y")
    assert ended(asked) == 1
    assert OTHER in asked.before and "Trust it" not in asked.before
    assert fake_queen.paths() == [ep.QUEEN_ADD_NODE.path] * 2
