"""The runner of a command that a person types: one at a time, to an exit code whatever happens.

`rbee-keeper`, and `rbee-hive` when a person uses it, run their commands through `run`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from rbee.contract.errors import RbeeError
from rbee.runtime import debug_trace
from rbee.runtime.error_text import unexpected
from rbee.runtime.leave import INTERRUPTED
from rbee.runtime.screen import Screen

FAILED = 1
WRONG_USAGE = 2
# What a shell shows for a program that nobody reads any more: 128 and SIGPIPE.
READER_GONE = 141


def run(program: str, work: Callable[[], Coroutine[Any, Any, int]], screen: Screen) -> int:
    """Do the `work` of a command of `program`; returns its exit code, or that of its failure, which
    `screen` shows."""
    gc.freeze()  # what was imported is never garbage, and need not be looked through
    gc.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # asyncio takes it over
    with debug_trace.traced(screen.note):
        try:
            code = asyncio.run(work())
        except RbeeError as error:
            screen.error(error)
            code = error.exit_code
        except BrokenPipeError:  # `| head -1`
            code = READER_GONE
        except KeyboardInterrupt:
            with contextlib.suppress(RbeeError, BrokenPipeError):
                screen.close()
            screen.note("Canceled.")
            code = INTERRUPTED
        except Exception as fault:
            screen.error(unexpected(program, fault))
            code = FAILED
        with contextlib.suppress(RbeeError, BrokenPipeError):
            screen.close()
    return _flush(code)


def _flush(code: int) -> int:
    """After this nothing can fail any more, not even a closed pipe when the interpreter exits."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


class Interrupts:
    """Signals that cancel the task in which this is made; `count` is how many have come.

    While `on_sigint` is set, SIGINT calls it instead of canceling the task.
    """

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self.count = 0
        self.reader_is_gone = False
        self.on_sigint: Callable[[], None] | None = None
        self.listen()

    def listen(self) -> None:
        """Install the handlers, also again after something else had them for a while."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.cancel)

    def cancel(self) -> None:
        """Cancel the task."""
        self.count += 1
        self._task.cancel()

    def cancel_quietly(self) -> None:
        """Cancel the task because nobody reads standard output any more."""
        self.reader_is_gone = True
        self.cancel()

    def _interrupt(self) -> None:
        if self.on_sigint is not None:
            self.on_sigint()
        else:
            self.cancel()
