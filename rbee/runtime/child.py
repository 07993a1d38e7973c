"""A program of ours as a child: tied by a lifeline, watched, and ended for sure."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from rbee.contract.daemons import Failed, Hello, Listening
from rbee.contract.errors import ErrorBody, ProgramFailed, RbeeError
from rbee.contract.nodes import Owner
from rbee.runtime import pid_file
from rbee.runtime.lifeline import Lifeline

READY_S = 30.0
_LONGEST_LINE = 1 << 20


def owner(program: str) -> Owner:
    """This process, as the holder of a lifeline."""
    pid = os.getpid()
    return Owner(program, pid, pid_file.started(pid) or time.time(), socket.gethostname())


class Child:
    """A running child in a process group of its own. `start` makes one; one task ends it."""

    def __init__(self, process: asyncio.subprocess.Process, lifeline: Lifeline, at: Listening):
        self.process = process
        self.lifeline = lifeline
        self.listening = at

    @property
    def pid(self) -> int:
        """The process that was started: a wrapper's, where the command is one."""
        return self.process.pid

    async def wait(self) -> int:
        """The exit code, once it has ended; negative for a signal."""
        return await self.process.wait()

    async def end(self, within_s: float) -> int:
        """Wait `within_s` seconds for the end that was asked for, then TERM, then KILL the group.

        Returns the exit code. The group is killed also when the leader has ended in order, so
        that nothing that it started stays.
        """
        for patience, number in ((within_s, signal.SIGTERM), (2.0, signal.SIGKILL)):
            try:
                await asyncio.wait_for(asyncio.shield(self.process.wait()), patience)
                break
            except TimeoutError:
                _signal_group(self.pid, number)
        code = await self.process.wait()
        _signal_group(self.pid, signal.SIGKILL)
        self.lifeline.close()
        return code


async def start(
    command: Sequence[str], hello: Hello, heartbeat_s: float | None = None, ready_s: float = READY_S
) -> Child:
    """Start `command`, say `hello` on its standard input, and wait for its ready line.

    Call it on the main thread: PDEATHSIG is tied to the thread that spawns. Raises the error that
    the child names itself, else PROGRAM_FAILED with its last words; then nothing is left running.
    """
    process, lifeline = await _spawn(command, hello, heartbeat_s)
    assert process.stdout is not None and process.stderr is not None
    said = asyncio.ensure_future(process.stderr.read())
    try:
        listening = await asyncio.wait_for(_ready(process.stdout), ready_s)
    except BaseException as error:
        lifeline.close()
        _signal_group(process.pid, signal.SIGKILL)
        await process.wait()
        if isinstance(error, RbeeError) or not isinstance(error, (TimeoutError, EOFError)):
            said.cancel()
            raise
        slow = f"no ready line came within {ready_s:g} s" if isinstance(error, TimeoutError) else ""
        words = (await said).decode(errors="replace").strip()[-2000:]
        raise ProgramFailed(
            program=Path(command[0]).name,
            reason=words or slow or f"it ended with code {process.returncode}",
        ) from None
    said.cancel()
    return Child(process, lifeline, listening)


async def _spawn(
    command: Sequence[str], hello: Hello, heartbeat_s: float | None
) -> tuple[asyncio.subprocess.Process, Lifeline]:
    reading, writing = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=reading,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            limit=_LONGEST_LINE,
        )
    except OSError as error:
        os.close(writing)
        raise ProgramFailed(program=command[0], reason=f"{error.strerror}.") from None
    finally:
        os.close(reading)
    return process, Lifeline(writing, hello, heartbeat_s)


async def _ready(stdout: asyncio.StreamReader) -> Listening:
    """The ready line, past whatever stands before it; EOFError where the child ends first."""
    while line := await stdout.readline():
        try:
            said = msgspec.json.decode(line, type=Listening | Failed)
        except msgspec.MsgspecError:
            continue
        if isinstance(said, Failed):
            raise RbeeError.from_body(msgspec.convert(said.error, ErrorBody))
        return said
    raise EOFError


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
