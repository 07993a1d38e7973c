"""One of our programs as a child: tied by a lifeline, watched, and certain to end.

asyncio's own subprocesses kill the child when they are garbage collected, but a queen may outlive
the command that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import IO, Protocol

import msgspec

from rbee.contract.daemons import Failed, Hello, Listening
from rbee.contract.errors import ErrorBody, ProgramFailed, RbeeError
from rbee.contract.nodes import Owner
from rbee.runtime import kernel
from rbee.runtime.concurrency import finish, in_thread
from rbee.runtime.lifeline import Lifeline
from rbee.runtime.prepared import Prepared
from rbee.runtime.process_tree import kill_tree, wait_until_gone

READY_S = 30.0
_LAST_WORDS_S = 1.0
_KILL_AFTER_TERM_S, _KILLED_WITHIN_S = 2.0, 5.0
_LONGEST_LINE = 1 << 20


def owner(program: str) -> Owner:
    """This process, as the holder of a lifeline."""
    pid = os.getpid()
    return Owner(program, pid, kernel.started(pid) or time.time(), socket.gethostname())


class Lines(Protocol):
    """A child's output, on this machine or from another."""

    async def readline(self) -> bytes: ...

    async def read(self, n: int = -1) -> bytes: ...


class Child:
    """A running child in a process group of its own, made by `start`."""

    def __init__(self, process: subprocess.Popen[bytes], lifeline: Lifeline) -> None:
        self.lifeline = lifeline
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        threading.Thread(target=self._reap, daemon=True).start()

    @property
    def is_running(self) -> bool:
        return not self._ended.done()

    async def wait(self) -> int:
        """The exit code, once the child has ended; negative for a signal."""
        return await asyncio.shield(self._ended)

    def cut_lifeline(self) -> None:
        """Close the lifeline: the child ends at once, without grace."""
        self.lifeline.close()

    async def end(self, within_s: float) -> int:
        """Wait `within_s` seconds for the requested end, then send TERM, then kill it.

        Returns the exit code. The group is killed even if its leader ended in order, so that
        nothing that it started stays.
        """
        await asyncio.wait({self._ended}, timeout=within_s)
        if self.is_running:
            self._signal(signal.SIGTERM)
            await asyncio.wait({self._ended}, timeout=_KILL_AFTER_TERM_S)
        return await self.kill()

    async def kill(self) -> int:
        """Kill the child and everything that it started. Returns the exit code, without waiting
        for a child that hangs in the kernel."""
        self.lifeline.close()
        if self.is_running:
            below = kill_tree(self._process.pid)
            await in_thread(lambda: wait_until_gone(below))
            await asyncio.wait({self._ended}, timeout=_KILLED_WITHIN_S)
        self._signal(signal.SIGKILL)
        return self._ended.result() if self._ended.done() else -signal.SIGKILL

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _reap(self) -> None:
        code = self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is waiting
            self._loop.call_soon_threadsafe(self._note, code)

    def _note(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)


async def start(
    command: Sequence[str], hello: Hello, heartbeat_s: float | None = None, ready_s: float = READY_S
) -> tuple[Child, Listening]:
    """Start `command`, say `hello` on its standard input, and wait for its ready line.

    Call it on the main thread: PDEATHSIG is tied to the thread that spawns. Raises the error that
    the child reports, else PROGRAM_FAILED with its last output; nothing is left running then.
    """
    return await begin(Prepared(command), hello, heartbeat_s, ready_s)


async def begin(
    prepared: Prepared, hello: Hello, heartbeat_s: float | None = None, ready_s: float = READY_S
) -> tuple[Child, Listening]:
    """As `start`, with a process that was started ahead."""
    process = prepared.process
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    # The lifeline owns a descriptor of its own, which Popen's clean-up does not close.
    lifeline = Lifeline(os.dup(process.stdin.fileno()), hello, heartbeat_s)
    process.stdin.close()
    child = Child(process, lifeline)
    async with contextlib.AsyncExitStack() as pipes:
        try:  # a cancellation during any of these waits leaves no child behind
            stderr = await _reader(process.stderr, pipes)
            stdout = await _reader(process.stdout, pipes)
            return child, await asyncio.wait_for(ready(stdout), ready_s)
        except (TimeoutError, EOFError) as error:
            slow = isinstance(error, TimeoutError)
            reason = f"no ready line came within {ready_s:g} s" if slow else ""
            code = await child.kill() if slow else await child.end(_LAST_WORDS_S)
            words = (await last_output(stderr))[-2000:]
            raise ProgramFailed(
                program=prepared.program,
                reason=words or reason or f"it ended with code {code}",
            ) from None
        except BaseException:
            await finish(child.kill())
            raise


async def _reader(pipe: IO[bytes], pipes: contextlib.AsyncExitStack) -> asyncio.StreamReader:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    pipes.callback(transport.close)
    return reader


async def ready(stdout: Lines) -> Listening:
    """The ready line, whatever is printed before it. Raises EOFError if the child ends first."""
    while line := await stdout.readline():
        try:
            said = msgspec.json.decode(line, type=Listening | Failed)
        except msgspec.MsgspecError:
            continue
        if isinstance(said, Failed):
            raise RbeeError.from_body(msgspec.convert(said.error, ErrorBody))
        return said
    raise EOFError


async def last_output(stderr: Lines) -> str:
    """The child's last output. It does not wait for the end: a grandchild may hold the pipe."""
    came = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS_S):
            while data := await stderr.read(65_536):
                came += data
    return came.decode(errors="replace").strip()
