"""The runner of a command: the exit code of every ending, and what is said of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rbee.contract.errors import ConfigInvalid, NodeNotFound
from rbee.runtime.command import Interrupts, run
from rbee.runtime.screen import Screen


def ended(failure: BaseException | None = None, code: int = 0) -> int:
    async def work() -> int:
        if failure is not None:
            raise failure
        return code

    return run("rbee-keeper", work, Screen())


@pytest.fixture(autouse=True)
def sigint() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("code", [0, 1, 130])
def test_the_work_decides_the_exit_code(capsys: pytest.CaptureFixture[str], code: int) -> None:
    assert ended(code=code) == code
    assert capsys.readouterr() == ("", "")


def test_an_error_is_shown_and_has_its_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(NodeNotFound(node="attic")) == 1
    assert capsys.readouterr().err.startswith("Error [NODE_NOT_FOUND]: ")
    assert ended(ConfigInvalid("no", source="config", key="a.b")) == 2


def test_a_reader_that_is_gone_ends_it_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(BrokenPipeError()) == 141
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_cancels_it(capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> int:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(10)
        return 0

    assert run("rbee-keeper", work, Screen()) == 130
    assert capsys.readouterr() == ("", "Canceled.\n")


def test_a_fault_of_ours_goes_to_the_log_of_the_program(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    assert ended(RuntimeError("a fault of ours")) == 1
    err = capsys.readouterr().err
    assert err.startswith("Error [INTERNAL]: ")
    assert "a fault of ours" not in err
    [log] = (home / ".rbee" / "logs").iterdir()
    assert "rbee-keeper" in log.name
    assert "RuntimeError: a fault of ours" in log.read_text()


def _signaled(react: Callable[[Interrupts], None]) -> Interrupts:
    async def work() -> Interrupts:
        interrupts = Interrupts()
        try:
            react(interrupts)
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        return interrupts

    return asyncio.run(work())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_work_and_is_counted(number: signal.Signals) -> None:
    interrupts = _signaled(lambda _: os.kill(os.getpid(), number))
    assert (interrupts.count, interrupts.reader_is_gone) == (1, False)


def test_sigint_may_cancel_something_smaller_instead() -> None:
    called: list[str] = []

    def react(interrupts: Interrupts) -> None:
        interrupts.on_sigint = lambda: called.append("smaller")
        os.kill(os.getpid(), signal.SIGINT)

    assert (_signaled(react).count, called) == (0, ["smaller"])


def test_a_reader_that_is_gone_cancels_the_work_quietly() -> None:
    interrupts = _signaled(lambda each: each.cancel_quietly())
    assert (interrupts.count, interrupts.reader_is_gone) == (1, True)
