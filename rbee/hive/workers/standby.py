"""The standby workers: processes that wait, without a model, to become the next workers.

A hive starts them before its own imports, so nothing heavy is imported here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import msgspec

from rbee.contract.config import Config
from rbee.contract.daemons import Assignment
from rbee.contract.errors import RbeeError
from rbee.contract.workers import StandbyRow
from rbee.hive.workers.worker_program import worker_command
from rbee.runtime import kernel
from rbee.runtime.prepared import Prepared

_QUIET_S = 3.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 300.0
_ENOUGH_FAILURES = 5
_log = logging.getLogger("rbee-hive")


class Standby:
    """As many as `[hive] standby_workers` says."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._count = config.hive.standby_workers
        self._clock = clock
        self._waiting: list[Prepared] = []
        self._pause_s = _FIRST_PAUSE_S
        self._failures = 0
        self._not_before = self._quiet_since = clock()

    def start(self) -> None:
        """Start those that are missing. One whose program can't be started is not an error: the
        start of a worker reports it."""
        try:
            while len(self._waiting) < self._count:
                self._waiting.append(Prepared([*worker_command(self._config), "--standby"]))
        except RbeeError as error:
            self._delay(error.message)

    def replace(self, busy: bool) -> None:
        """Start those that are missing once nothing has been `busy` for a while: a start takes the
        processor from what runs. To be called every second or so."""
        now = self._clock()
        if busy:
            self._quiet_since = now
        for each in [each for each in self._waiting if not each.is_running]:
            self._waiting.remove(each)
            self._note_end(each)
        if now >= max(self._quiet_since + _QUIET_S, self._not_before):
            self.start()

    def take(self, arguments: Sequence[str]) -> Prepared | None:
        """One that goes on with `arguments`, and is the caller's from now on, if one waits."""
        while self._waiting:
            taken = self._waiting.pop(0)
            if taken.is_running:
                self._pause_s, self._failures = _FIRST_PAUSE_S, 0
                taken.write(msgspec.json.encode(Assignment(list(arguments))))
                return taken
            self._note_end(taken)
        return None

    def rows(self) -> list[StandbyRow]:
        """Those that wait now, with their memory."""
        return [
            StandbyRow(each.pid, kernel.resident_bytes(each.pid))
            for each in self._waiting
            if each.is_running
        ]

    def close(self) -> None:
        """End them all, at once: they hold nothing."""
        self._count = 0
        while self._waiting:
            self._waiting.pop().discard()

    def _note_end(self, ended: Prepared) -> None:
        code = ended.process.returncode
        why = f"it ended by signal {-code}" if code < 0 else ended.last_line() or f"code {code}"
        ended.discard()
        self._failures += code >= 0
        self._delay(why)

    def _delay(self, why: str) -> None:
        """Try again later, and later still if that one ends too; no more if its program seems not
        to know how to stand by."""
        if self._failures == _ENOUGH_FAILURES:
            _log.warning("no standby worker is kept from now on: %s", why)
            self._count = 0
            return
        _log.info("a standby worker is gone: %s; the next one in %g s", why, self._pause_s)
        self._not_before = self._clock() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
