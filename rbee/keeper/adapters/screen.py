"""What a person sees: the story on stdout, everything else on stderr."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rbee.contract.errors import InvalidApiKey, RbeeError
from rbee.contract.events import NAMES, Event, Loading, Narration, Queued, Token
from rbee.runtime.present import explain

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Screen:
    """Shows events as they come. `quiet` drops the narration; `as_json` sends every event to stdout
    as one line of JSON in place of the text. A bar appears only on a terminal."""

    def __init__(self, quiet: bool = False, as_json: bool = False) -> None:
        self._quiet = quiet
        self._as_json = as_json
        self._bar: tuple[Progress, TaskID] | None = None
        self._in_line = False
        _open_what_is_closed()
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A terminal that can't show a character shows a substitute, and the story goes on.
            sys.stdout.reconfigure(errors="replace")

    def show(self, event: Event) -> None:
        """One event. Raises BrokenPipeError where nobody reads stdout any more."""
        if self._as_json:
            line = {"event": NAMES[type(event)], "data": event}
            self._write(msgspec.json.encode(line).decode() + "\n")
        elif isinstance(event, Token):
            self._end_bar()
            self._write(event.token)
            self._in_line = not event.token.endswith("\n") if event.token else self._in_line
        if isinstance(event, Loading) and sys.stderr.isatty() and not self._quiet:
            self._load(event)
        elif isinstance(event, Narration) and not self._quiet:
            emoji = f"{event.emoji} " if event.emoji else ""
            self.note(f"[{event.actor}] {emoji}{event.text}")
        elif isinstance(event, Queued) and not self._quiet:
            place = f"{event.position} of {event.waiting}"
            self.note(f"[queen-rbee] ⏱️ waiting for a free slot: {place}")

    def say(self, line: str) -> None:
        """A line of what was asked for, on stdout."""
        self._write(f"{line}\n")

    def note(self, line: str) -> None:
        """A line on stderr, under whatever is on the screen."""
        if self._bar is not None:
            self._bar[0].console.print(line, markup=False, highlight=False, soft_wrap=True)
            return
        self.end_line()
        print(line, file=sys.stderr, flush=True)

    def error(self, error: RbeeError) -> None:
        """What happened, and what to do next; for a refused key also the file that names it."""
        self.close()
        if isinstance(error, InvalidApiKey):
            from rbee.runtime import paths, settings

            known = settings.config_file() or paths.config_candidates()[0]
            error.details["config_path"] = str(known)
        self.note(explain(error))

    def end_line(self) -> None:
        """Finish the story's last line, so that what follows starts on its own."""
        if self._in_line:
            self._in_line = False
            self._write("\n")

    def close(self) -> None:
        """Take the bar away and finish the last line."""
        self._end_bar()
        self.end_line()

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _load(self, event: Loading) -> None:
        if event.stage == "ready":
            self._end_bar()
            return
        if self._bar is None:
            self._bar = _bar()
        progress, task = self._bar
        memory = f"{event.vram_mb or 0:.0f} MB"
        total, loaded = event.layers_total or 0, event.layers_loaded or 0
        progress.update(task, total=total, completed=loaded, memory=memory)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None


def _open_what_is_closed() -> None:
    """Started with `>&-` or `2>&-`: what is said there goes nowhere, and not into the next file."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115  for good
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115  for good


def _bar() -> tuple[Progress, TaskID]:
    # Late: only a terminal needs it, and the first token should not wait for it.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    progress = Progress(
        TextColumn("loading"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("layers, {task.fields[memory]}"),
        console=Console(stderr=True, no_color="NO_COLOR" in os.environ),
        transient=True,
    )
    progress.start()
    return progress, progress.add_task("loading", total=None, memory="")
