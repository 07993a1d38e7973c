"""Whether the worker is still fit to answer: what it computes, and what became of its files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rbee.contract.errors import ComputeFailed
from rbee.contract.events import Done
from rbee.worker.engine.request import Output

if TYPE_CHECKING:  # it comes with the loaded model
    from rbee.worker.requests.model_files import ModelFiles

# So many in a row are not the requests' fault.
_FAILURES = 2
# Between two looks at the model's files while answers are made.
_LOOK_EVERY_S = 1.0


class Fitness:
    """Of a worker whose model has these `files`, once it is loaded."""

    def __init__(self) -> None:
        self.files: ModelFiles | None = None
        self._checked_at = 0.0
        self._failures = 0

    @property
    def is_healthy(self) -> bool:
        hung = self.files is not None and self.files.is_hung
        return self._failures < _FAILURES and not hung

    async def check_files(self) -> None:
        """Raises what `ModelFiles.check` raises."""
        if self.files is not None:
            await self.files.check()

    def note(self, outputs: Iterable[Output], now: float) -> None:
        """Judge by what a step has made, and look at the files now and then. A step is one failure,
        however many requests it ends. `now` is in seconds."""
        made = list(outputs)
        if any(isinstance(output, ComputeFailed) for output in made):
            self._failures += 1
        elif any(isinstance(output, Done | list) for output in made):
            self._failures = 0
        if self.files is not None and now - self._checked_at >= _LOOK_EVERY_S:
            self._checked_at = now
            self.files.look()
