"""The bar at the foot of a terminal: one at a time, gone when its work is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from rbee.contract.events import Download, Loading, Verify

if TYPE_CHECKING:
    from rich.progress import Progress

_MB = 1_000_000


class _Position(msgspec.Struct, frozen=True):
    """What a bar shows: its name, how far it is, and the same in words. `now`: it is drawn at once,
    and not at the next tenth of a second."""

    name: str
    done: float
    total: float
    words: str
    now: bool = False


class Bar:
    """Shown while there is something to show; drawn by rich on standard error."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._name = ""

    @property
    def is_shown(self) -> bool:
        return self._progress is not None

    def show(self, event: Download | Loading | Verify) -> None:
        """Move the bar; the last event of a work takes it away."""
        position = _position(event)
        if position is None:
            self.end()
            return
        if self._progress is None or self._name != position.name:
            self.end()
            self._name = position.name
            self._progress = _drawn(position.name)
        task = self._progress.task_ids[0]
        total, done = position.total, position.done
        self._progress.update(
            task, total=total, completed=done, words=position.words, refresh=position.now
        )

    def print(self, line: str) -> None:
        """A line above the bar. Only while it is shown."""
        assert self._progress is not None
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _position(event: Download | Loading | Verify) -> _Position | None:
    if isinstance(event, Loading):
        if event.stage == "ready":
            return None
        done, total = event.layers_loaded or 0, event.layers_total or 0
        return _Position(
            "loading", done, total, f"{done}/{total} layers, {event.vram_mb or 0:.0f} MB"
        )
    if event.stage == "complete":
        return None
    if isinstance(event, Verify):
        done, total = event.bytes_hashed or 0, event.bytes_total or 0
        return _Position("verifying", done, total, _of(done, total))
    done, total = event.bytes_downloaded or 0, event.bytes_total or 0
    words = f"{_of(done, total)}, {event.speed_mbps or 0:.1f} MB/s"
    return _Position("downloading", done, total, words, now=event.stage == "retrying")


def _of(done: int, total: int) -> str:
    percent = 100 * done // total if total else 0
    return f"{percent} %  {done / _MB:.0f}/{total / _MB:.0f} MB"


def _drawn(name: str) -> Progress:
    # Late: only a terminal needs it, and the first token should not wait for it.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None if name != "loading" else 40),
        TextColumn("{task.fields[words]}"),
        *([TimeRemainingColumn()] if name != "loading" else []),
        console=Console(stderr=True, no_color="NO_COLOR" in os.environ),
        transient=True,
    )
    progress.start()
    progress.add_task(name, total=None, words="")
    return progress
