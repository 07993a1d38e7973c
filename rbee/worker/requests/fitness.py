"""Whether the worker is still fit to answer: what it computes, and what became of its files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from rbee.contract.errors import ComputeFailed, ShuttingDown
from rbee.contract.events import Done
from rbee.worker.engine.request import Output

# So many in a row are not the requests' fault.
_FAILURES = 2
# Between two looks at the model's files while answers are made.
_LOOK_EVERY_S = 1.0


class Fitness:
    """`check_files` raises SHUTTING_DOWN if the model's files are no longer what was loaded."""

    def __init__(self) -> None:
        self.check_files: Callable[[], None] = lambda: None
        self._checked_at = 0.0
        self._failures = 0

    @property
    def is_healthy(self) -> bool:
        return self._failures < _FAILURES

    def note(self, outputs: Iterable[Output], now: float) -> None:
        """Judge by what a step has made, and look at the files now and then. A step is one failure,
        however many requests it ends. `now` is in seconds."""
        made = list(outputs)
        if any(isinstance(output, ComputeFailed) for output in made):
            self._failures += 1
        elif any(isinstance(output, Done | list) for output in made):
            self._failures = 0
        if now - self._checked_at >= _LOOK_EVERY_S:
            self._checked_at = now
            with suppress(ShuttingDown):  # it has begun: there is nobody to tell here
                self.check_files()
