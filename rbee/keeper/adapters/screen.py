"""What a person sees: the story on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import sys

import msgspec

from rbee.contract.errors import InvalidApiKey, RbeeError, StateNotWritable
from rbee.contract.events import NAMES, Download, Event, Loading, Narration, Queued, Token, Verify
from rbee.keeper.adapters import outputs
from rbee.keeper.adapters.bars import Bar, can_be_shown
from rbee.runtime import paths
from rbee.runtime.log import harmless, harmless_text
from rbee.runtime.present import explain, retrying, show_trail, told_under

_MB = 1_000_000


class Screen:
    """Shows events as they come. `quiet` drops the narration; `as_json` sends every event to stdout
    as one line of JSON in place of the text. A bar appears only on a terminal; elsewhere a download
    is told in tenths.

    Raises BrokenPipeError where nobody reads stdout any more, and STATE_NOT_WRITABLE where it can't
    be written."""

    def __init__(self, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet = quiet
        self.narrates = not quiet
        self.as_json = as_json
        self._bar = Bar()
        self._tenths = 0
        self._in_line = False
        outputs.prepare()

    def show(self, event: Event) -> None:
        """One event."""
        if self.as_json:
            line = {"event": NAMES[type(event)], "data": event}
            outputs.write(msgspec.json.encode(line).decode() + "\n")
        elif isinstance(event, Token):
            self._bar.end()
            # Who pipes it gets it as it came; a terminal would do what a model's controls tell it.
            shown = harmless_text(event.token) if sys.stdout.isatty() else event.token
            outputs.write(shown)
            self._in_line = not shown.endswith("\n") if shown else self._in_line
        if isinstance(event, Loading | Download | Verify):
            self._progress(event)
        elif isinstance(event, Narration) and self.narrates:
            emoji = f"{event.emoji} " if event.emoji else ""
            self.note(f"[{event.actor}] {emoji}{harmless(event.text)}")
        elif isinstance(event, Queued) and not self.quiet:
            place = f"{event.position} of {event.waiting}"
            self.note(f"[queen-rbee] ⏱️ waiting for a free slot: {place}")

    def say(self, line: str) -> None:
        """A line of what was asked for, on stdout."""
        outputs.write(f"{line}\n")

    def result(self, line: str) -> None:
        """What a stream of events came to; in JSON the events have said it."""
        if not self.as_json:
            self.say(line)

    def answer(self, found: object, text: str) -> None:
        """What was asked for: `found` as one JSON document, else `text`, where there is any."""
        if self.as_json:
            self.say(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        elif text:
            self.say(text)

    def note(self, line: str) -> None:
        """A line on stderr, under whatever is on the screen."""
        if self._bar.is_shown:
            self._bar.print(line)
            return
        if sys.stdout.isatty():  # elsewhere it would break the story, which goes on
            self.end_line()
        outputs.tell(f"{line}\n")

    def error(self, error: RbeeError) -> None:
        """What happened, and what to do next; for a refused key also the file that names it. With
        `--debug` the whole trail of it."""
        self.close()
        if isinstance(error, InvalidApiKey):
            from rbee.runtime import settings

            known = settings.config_file() or paths.config_candidates()[0]
            error.details["config_path"] = str(known)
        self.note(explain(error, told_under()))
        show_trail(error, paths.logs_dir())

    def end_line(self) -> None:
        """Finish the story's last line, so that what follows starts on its own."""
        if self._in_line:
            self._in_line = False
            outputs.write("\n")

    def close(self) -> None:
        """Take the bar away and finish the last line."""
        self._bar.end()
        self.end_line()

    def _progress(self, event: Loading | Download | Verify) -> None:
        if self.quiet:
            return
        if isinstance(event, Download) and event.stage == "retrying":
            if self._bar.is_shown:
                self._bar.show(event)  # it stands where the transfer broke
            self.note(f"[model-provisioner] 🔁 {retrying(event)}")
        elif can_be_shown():
            self._bar.show(event)
        elif isinstance(event, Download) and event.stage == "downloading":
            self._tell_tenths(event)

    def _tell_tenths(self, event: Download) -> None:
        done, total = event.bytes_downloaded or 0, event.bytes_total or 0
        tenths = 10 * done // total if total else 0
        if tenths > self._tenths:
            self._tenths = tenths
            told = f"{10 * tenths} % of {total / _MB:.0f} MB, {event.speed_mbps or 0:.1f} MB/s"
            self.note(f"[model-provisioner] ⬇️ {told}")


class EventScreen(Screen):
    """Of a command whose `--json` is a stream of events: one that fails ends with an `error` event,
    whoever it was that failed."""

    def error(self, error: RbeeError) -> None:
        if self.as_json:
            with contextlib.suppress(BrokenPipeError, StateNotWritable):
                self.show(error.envelope())
        super().error(error)
