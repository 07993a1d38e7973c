"""What a person sees of a command: what was asked for on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterable

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
from rbee.runtime import debug_trace, outputs, paths, safe_text, terminal
from rbee.runtime.error_text import explain, retrying, show_trace, visible_correlation_id
from rbee.runtime.live_line import LiveLine
from rbee.runtime.word_wrap import WordWrap, wrapped

_MB = 1_000_000
# Narration that a person wants to read again afterwards, by its emoji: retries, warnings, waits,
# what is in the way, what is missing. The explanation is kept because somebody asked for it.
_KEPT = frozenset(("🔁", "⚠️", "⏱️", "🏠", "❓"))
_EXPLANATION = "🧭"
_ATTEMPT = r"\battempt (\d+) of \d+"


class Screen:
    """The outputs of one command. `quiet` drops the narration, except for an explanation that was
    asked for. `as_json` prints JSON on stdout: the answer as one document, or, for a command that
    `streams`, each event as a line; then an error is the last event.

    On a terminal, words are not broken, and the answer stands between blank lines. If the screen
    `is_live`, one line shows what is going on, and only what went wrong on the way stays. A bar
    shows progress there; without a terminal each tenth of a download is a line. Errors are shown as
    `in_words` makes them.

    What writes to stdout raises BrokenPipeError when nobody reads it any more, and
    STATE_NOT_WRITABLE when it can't be written."""

    def __init__(
        self,
        quiet: bool = False,
        as_json: bool = False,
        streams: bool = False,
        is_live: bool = False,
        in_words: Callable[[RbeeError], RbeeError] = lambda error: error,
    ) -> None:
        self.quiet = quiet
        self.narrates = not quiet
        self.as_json = as_json
        self._streams = streams
        self._in_words = in_words
        outputs.prepare()
        self._is_live = is_live and not as_json and terminal.can_redraw()
        self._is_live = self._is_live and not debug_trace.wanted.get()
        self._line = LiveLine()
        self._first_attempt: str | None = None
        self._tenths = 0
        self._line_is_open = False
        self._reasons = False
        self._answer, self._thoughts = WordWrap(), WordWrap()
        self._answered = False

    def show(self, event: Event) -> None:
        """Show one event of a stream."""
        if self.as_json:
            line = {"event": NAMES[type(event)], "data": event}
            outputs.write(safe_text.document(msgspec.json.encode(line).decode()) + "\n")
        elif isinstance(event, Token):
            self._line.close()
            if event.channel == "text":
                self._show_text(event.token)
            elif event.channel == "reasoning":
                self._show_reasoning(event.token)
        self.narrate(event)

    def _show_text(self, text: str) -> None:
        if not text:
            return
        self._end_reasoning()
        if not sys.stdout.isatty():
            outputs.write(text)  # as it is; a terminal would obey a model's control characters
            self._line_is_open = not text.endswith("\n")
            return
        if not self._answered and self._is_for_a_person():
            outputs.write_error("\n")
        self._answered = True
        outputs.write(self._answer.feed(safe_text.answer(text), terminal.columns(sys.stdout)))
        self._line_is_open = self._answer.line_is_open

    def _is_for_a_person(self) -> bool:
        return sys.stdout.isatty() and sys.stderr.isatty() and not self.quiet

    def _show_reasoning(self, text: str) -> None:
        """Reasoning is not the answer: only a person sees it, dimmed."""
        if text and not self.quiet and sys.stderr.isatty():
            text = self._thoughts.feed(safe_text.answer(text), terminal.columns(sys.stderr))
            self._reasons = self._thoughts.line_is_open
            outputs.write_error(terminal.dimmed(text))

    def _end_reasoning(self) -> None:
        if self._reasons:
            self._reasons = False
            text = self._thoughts.flush(terminal.columns(sys.stderr))
            outputs.write_error(f"{terminal.dimmed(text)}\n")
            self._thoughts = WordWrap()

    def narrate(self, event: Event) -> None:
        """Tell a person what an event says of the work: narration, progress, a place in a queue.
        Other events are ignored."""
        if isinstance(event, Loading | Download | Verify | Prefill):
            self._progress(event)
        elif isinstance(event, Narration):
            self._tell(event)
        elif isinstance(event, Queued) and not self.quiet:
            place = f"{event.position} of {event.waiting}"
            self.note(f"[queen-rbee] ⏱️ waiting for a free slot: {place}")

    def _tell(self, event: Narration) -> None:
        words = f"{event.emoji} {event.text}" if event.emoji else event.text
        line = f"[{event.actor}] {words}"
        if event.emoji == _EXPLANATION or (self.narrates and not self._is_live):
            self.note(line)
        elif not self.quiet and self._is_live:
            self._tell_live(event, words, line)

    def _tell_live(self, event: Narration, words: str, line: str) -> None:
        """A first attempt went wrong if there is a second one."""
        attempt = re.search(_ATTEMPT, event.text)
        if event.emoji in _KEPT or (attempt and attempt[1] != "1"):
            first, self._first_attempt = self._first_attempt, None
            self.note(*filter(None, (first if attempt else None, line)))
        elif self.narrates:
            self._first_attempt = line if attempt else None
            self.step(words)

    def step(self, words: str) -> None:
        """Say what is going on, on a screen that is live."""
        if self._is_live and not self.quiet:
            self._line.tell(safe_text.line(words))

    def say(self, *lines: str) -> None:
        """Print lines on stdout; none of them becomes several, whoever wrote it."""
        self._answered = False
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
        self._note(_fitting(lines))

    def aside(self, line: str) -> None:
        """Print a line on stderr that matters less than the answer."""
        self._note(terminal.dimmed(_fitting([line])))

    def _note(self, text: str) -> None:
        if self._line.is_shown:
            self._line.print_above(text)
            return
        self._end_reasoning()
        if sys.stdout.isatty():  # elsewhere it would break the answer, which goes on
            self.end_line()
        if self._answered and self._is_for_a_person():
            outputs.write_error("\n")
        self._answered = False
        outputs.write_error(f"{text}\n")

    def error(self, error: RbeeError) -> None:
        """Say what happened and what to do next; if it is about a key, also the file that names it.
        With `--debug` the whole trace follows."""
        error = self._in_words(error)
        if self.as_json and self._streams:
            with contextlib.suppress(BrokenPipeError, StateNotWritable):
                self.show(error.envelope())
        self.close()
        if isinstance(error, InvalidApiKey | KeyNotProven):
            from rbee.runtime import settings

            known = settings.config_file() or paths.config_candidates()[0]
            error.details["config_path"] = str(known)
        text = _fitting(explain(error, visible_correlation_id()).split("\n"))
        head, _, rest = text.partition(":")
        self._note(f"{terminal.red(head)}:{rest}")
        show_trace(error, paths.logs_dir())

    def end_line(self) -> None:
        """Finish the answer's last line, so that what follows starts on its own."""
        if self._line_is_open:
            self._line_is_open = False
            outputs.write(self._answer.flush(terminal.columns(sys.stdout)) + "\n")
            self._answer = WordWrap()

    def close(self) -> None:
        """Remove the live line and finish the answer's last line."""
        self._line.close()
        self._end_reasoning()
        self.end_line()

    def _progress(self, event: Loading | Download | Verify | Prefill) -> None:
        if self.quiet:
            return
        if isinstance(event, Download) and event.stage == "retrying":
            if self._line.is_shown:
                self._line.show(event)  # it stays where the transfer broke
            self.note(f"[model-provisioner] 🔁 {retrying(event)}")
        elif terminal.can_redraw():
            self._line.show(event)
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


def _fitting(lines: Iterable[str]) -> str:
    """Lines for standard error; none becomes several, except where a terminal would break it."""
    safe = [safe_text.line(line) for line in lines]
    if sys.stderr.isatty():
        columns = terminal.columns(sys.stderr)
        safe = [wrapped(line, columns) for line in safe]
    return "\n".join(safe)
