"""What a person sees of a command: what was asked for on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import os
import sys

import msgspec

from rbee.contract.errors import InvalidApiKey, KeyNotProven, RbeeError, StateNotWritable
from rbee.contract.events import (
    NAMES,
    Download,
    Event,
    Loading,
    Narration,
    Prefill,
    Queued,
    Token,
    Verify,
)
from rbee.runtime import outputs, paths, safe_text
from rbee.runtime.error_text import explain, retrying, show_trace, visible_correlation_id
from rbee.runtime.progress_bar import ProgressBar, can_redraw

_MB = 1_000_000
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


class Screen:
    """The outputs of one command. `quiet` drops the narration. `as_json` prints JSON on stdout: the
    answer as one document, or, for a command that `streams`, each event as a line; then an error
    is the last event. A progress bar appears only on a terminal; elsewhere each tenth of a download
    is a line.

    What writes to stdout raises BrokenPipeError when nobody reads it any more, and
    STATE_NOT_WRITABLE when it can't be written."""

    def __init__(self, quiet: bool = False, as_json: bool = False, streams: bool = False) -> None:
        self.quiet = quiet
        self.narrates = not quiet
        self.as_json = as_json
        self._streams = streams
        self._bar = ProgressBar()
        self._tenths = 0
        self._line_is_open = False
        self._reasons = False
        outputs.prepare()

    def show(self, event: Event) -> None:
        """Show one event of a stream."""
        if self.as_json:
            line = {"event": NAMES[type(event)], "data": event}
            outputs.write(safe_text.document(msgspec.json.encode(line).decode()) + "\n")
        elif isinstance(event, Token):
            self._bar.close()
            if event.channel == "text":
                self._show_text(event.token)
            elif event.channel == "reasoning":
                self._show_reasoning(event.token)
        self.narrate(event)

    def _show_text(self, text: str) -> None:
        if not text:
            return
        self._end_reasoning()
        # A pipe gets the text as it is; a terminal would obey a model's control characters.
        outputs.write(safe_text.answer(text) if sys.stdout.isatty() else text)
        self._line_is_open = not text.endswith("\n")

    def _show_reasoning(self, text: str) -> None:
        """Reasoning is not the answer: only a person sees it, dimmed."""
        if text and not self.quiet and sys.stderr.isatty():
            self._reasons = not text.endswith("\n")
            text = safe_text.answer(text)
            dimmed = can_redraw() and not os.environ.get("NO_COLOR")
            outputs.write_error(f"{_DIM}{text}{_PLAIN}" if dimmed else text)

    def _end_reasoning(self) -> None:
        if self._reasons:
            self._reasons = False
            outputs.write_error("\n")

    def narrate(self, event: Event) -> None:
        """Tell a person what an event says of the work: narration, progress, a place in a queue.
        Other events are ignored."""
        if isinstance(event, Loading | Download | Verify | Prefill):
            self._progress(event)
        elif isinstance(event, Narration) and self.narrates:
            emoji = f"{event.emoji} " if event.emoji else ""
            self.note(f"[{event.actor}] {emoji}{event.text}")
        elif isinstance(event, Queued) and not self.quiet:
            place = f"{event.position} of {event.waiting}"
            self.note(f"[queen-rbee] ⏱️ waiting for a free slot: {place}")

    def say(self, *lines: str) -> None:
        """Print lines on stdout; none of them becomes several, whoever wrote it."""
        outputs.write("".join(f"{safe_text.line(line)}\n" for line in lines))

    def result(self, line: str) -> None:
        """Print what a stream of events came to; in JSON the events themselves have said it."""
        if not self.as_json:
            self.say(line)

    def answer(self, found: object, line: str) -> None:
        """Print the answer: `found` as one JSON document, or `line` unless it is empty."""
        self.listing(found, safe_text.line(line))

    def listing(self, found: object, text: str) -> None:
        """The same with a text of several lines, in which `listings` keeps what others wrote on its
        own line."""
        if self.as_json:
            json = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
            outputs.write(f"{safe_text.document(json)}\n")
        elif text:
            outputs.write(f"{safe_text.lines(text)}\n")

    def note(self, *lines: str) -> None:
        """Print lines on stderr, below what is on the screen; none of them becomes several."""
        text = "\n".join(map(safe_text.line, lines))
        if self._bar.is_shown:
            self._bar.print_above(text)
            return
        self._end_reasoning()
        if sys.stdout.isatty():  # elsewhere it would break the answer, which goes on
            self.end_line()
        outputs.write_error(f"{text}\n")

    def error(self, error: RbeeError) -> None:
        """Say what happened and what to do next; if it is about a key, also the file that names it.
        With `--debug` the whole trace follows."""
        if self.as_json and self._streams:
            with contextlib.suppress(BrokenPipeError, StateNotWritable):
                self.show(error.envelope())
        self.close()
        if isinstance(error, InvalidApiKey | KeyNotProven):
            from rbee.runtime import settings

            known = settings.config_file() or paths.config_candidates()[0]
            error.details["config_path"] = str(known)
        self.note(*explain(error, visible_correlation_id()).split("\n"))
        show_trace(error, paths.logs_dir())

    def end_line(self) -> None:
        """Finish the answer's last line, so that what follows starts on its own."""
        if self._line_is_open:
            self._line_is_open = False
            outputs.write("\n")

    def close(self) -> None:
        """Remove the bar and finish the last line."""
        self._bar.close()
        self._end_reasoning()
        self.end_line()

    def _progress(self, event: Loading | Download | Verify | Prefill) -> None:
        if self.quiet:
            return
        if isinstance(event, Download) and event.stage == "retrying":
            if self._bar.is_shown:
                self._bar.show(event)  # it stays where the transfer broke
            self.note(f"[model-provisioner] 🔁 {retrying(event)}")
        elif can_redraw():
            self._bar.show(event)
        elif isinstance(event, Download) and event.stage == "downloading":
            self._tell_tenths(event)

    def _tell_tenths(self, event: Download) -> None:
        done, total = event.bytes_downloaded or 0, event.bytes_total or 0
        tenths = 10 * done // total if total else 0
        if tenths > self._tenths:
            self._tenths = tenths
            speed = f"{event.speed_mbps or 0:.1f} MB/s"
            text = f"{10 * tenths} % of {total / _MB:.0f} MB, {speed}"
            self.note(f"[model-provisioner] ⬇️ {text}")
