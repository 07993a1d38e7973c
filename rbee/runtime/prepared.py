"""A child that is started before its work is known: it imports what it needs, and then waits for
the first line on its standard input.

It holds nothing that could be lost, so it may be killed at any time before `child.begin`, and it
ends by itself when its standard input ends. Nothing heavy is imported here: a program starts its
children ahead before it does its own imports.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rbee.contract.errors import ProgramFailed


class Prepared:
    """The process of `command`, in a process group of its own. Make it on the main thread:
    PDEATHSIG is tied to the thread that spawns. Raises PROGRAM_FAILED."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)
        self.program = Path(command[0]).name
        try:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise ProgramFailed(program=command[0], reason=f"{error.strerror}.") from None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def write(self, line: bytes) -> None:
        """A line that the child reads before anything else. One that is gone is not an error here:
        the wait for its ready line reports it."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            os.write(self.process.stdin.fileno(), line + b"\n")

    def discard(self) -> None:
        """Kill it, with all that it started, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
