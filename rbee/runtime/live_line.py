"""The line at the foot of a terminal that says what is going on: a progress bar, or a step of the
work with the seconds that have passed. There is one at a time; when the work is done it is gone.

A bar is drawn with each event. A step is drawn again each second, by the event loop and by no
thread of its own, so that nothing is drawn over what comes next.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable

from rbee.contract.events import Download, Loading, Prefill, Verify
from rbee.runtime import outputs, terminal
from rbee.runtime.progress_bar import MAX_WIDTH, Position, line, position
from rbee.runtime.word_wrap import shortened, width

_REDRAW_S = 0.05


class LiveLine:
    """Shown on standard error while there is something to show."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._position: Position | None = None
        self._step: str | None = None
        self._drawn_at = 0.0
        self._began = 0.0
        self._is_open = False
        self._next_second: asyncio.TimerHandle | None = None

    @property
    def is_shown(self) -> bool:
        return self._position is not None or self._step is not None

    def show(self, event: Download | Loading | Verify | Prefill) -> None:
        """Move the bar, which replaces a step; the last event of the work removes it."""
        new = position(event)
        if new is None:
            self._wipe()
            return
        now = self._now()
        is_new = self._position is None or self._position.name != new.name
        self._position, self._step = new, None
        if is_new or new.now or now - self._drawn_at >= _REDRAW_S:
            self._drawn_at = now
            self._draw()

    def tell(self, step: str) -> None:
        """Say in words what is going on, in the place of a bar or of the step before. The seconds
        are those since the line was last closed: a person waits for the whole."""
        if not self._is_open:
            self._is_open, self._began = True, self._now()
        self._position, self._step = None, step
        self._draw()

    def print_above(self, text: str) -> None:
        """Print a line above the live one."""
        outputs.write_error(f"{terminal.CLEAR_LINE}{text}\n")
        if self.is_shown:
            self._draw()

    def close(self) -> None:
        """Wipe the line away: the work is done."""
        self._wipe()
        self._is_open = False

    def _wipe(self) -> None:
        self._stop_clock()
        if self.is_shown:
            self._position = self._step = None
            outputs.write_error(terminal.CLEAR_LINE)

    def _draw(self) -> None:
        self._stop_clock()
        # Each time: the terminal may have another width by now.
        columns = terminal.columns(sys.stderr)
        if self._position is not None:
            text = line(self._position, columns, *_characters())
        else:
            text = terminal.dimmed(self._step_in(min(columns - 1, MAX_WIDTH)))
            self._start_clock()
        outputs.write_error(f"\r{text}\x1b[K")

    def _step_in(self, columns: int) -> str:
        seconds = int(self._now() - self._began)
        passed = f"  {seconds} s" if seconds else ""
        return shortened(self._step or "", columns - width(passed)) + passed

    def _start_clock(self) -> None:
        with contextlib.suppress(RuntimeError):  # no loop runs: what follows won't be long
            self._next_second = asyncio.get_running_loop().call_later(1, self._draw)

    def _stop_clock(self) -> None:
        if self._next_second is not None:
            self._next_second.cancel()
            self._next_second = None


def _characters() -> tuple[str, str]:
    try:
        "━─".encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return "#", "-"
    return "━", "─"
