"""What ends a command from outside: Ctrl+C, a signal, a terminal that is closed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

INTERRUPTED = 130
# What a shell shows for a program whose reader has gone: 128 and SIGPIPE.
NOBODY_READS = 141


class Interrupts:
    """Signals as cancellations of the task that makes this; `count` is how many have come.

    SIGINT breaks off something smaller in its place, while `instead` is set.
    """

    def __init__(self) -> None:
        work = asyncio.current_task()
        assert work is not None
        self._work = work
        self.count = 0
        self.nobody_reads = False
        self.instead: Callable[[], None] | None = None
        self.listen()

    def listen(self) -> None:
        """From now on; again after somebody else has had the signals for a while."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.end)

    def end(self) -> None:
        """Cancel the work."""
        self.count += 1
        self._work.cancel()

    def reader_leaves(self) -> None:
        """Nobody reads standard output any more: the same, quietly."""
        self.nobody_reads = True
        self.end()

    def _interrupt(self) -> None:
        if self.instead is not None:
            self.instead()
        else:
            self.end()
