"""A child that is started before its work is known: it imports what it needs, and then waits for
the first line on its standard input.

It holds nothing that could be lost, so it may be killed at any time before `child.begin`, and it
ends by itself when its standard input ends. Nothing heavy is imported here: a program starts its
children ahead before it does its own imports.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from rbee.contract.errors import ProgramFailed
from rbee.runtime.process_tree import kill_tree, wait_until_gone

_ENDS_WITHIN_S, _GONE_WITHIN_S = 5.0, 0.5


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

    def last_line(self) -> str:
        """What it printed last on standard error, without waiting for more."""
        assert self.process.stderr is not None
        os.set_blocking(self.process.stderr.fileno(), False)
        said = (self.process.stderr.read() or b"").decode(errors="replace").strip()
        return said.splitlines()[-1] if said else ""

    def write(self, line: bytes) -> None:
        """A line that the child reads before anything else. One that is gone is not an error here:
        the wait for its ready line reports it."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            os.write(self.process.stdin.fileno(), line + b"\n")

    def end(self) -> None:
        """End its standard input, and wait until it has ended with all that it started; if it does
        not, discard it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_ENDS_WITHIN_S)
        self.discard()

    def discard(self) -> None:
        """Kill it, with everything that it started, and wait until it is gone, but not for one that
        hangs in the kernel."""
        if self.is_running:
            wait_until_gone(kill_tree(self.pid))
            try:
                self.process.wait(_GONE_WITHIN_S)
            except subprocess.TimeoutExpired:
                threading.Thread(target=self.process.wait, daemon=True).start()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
