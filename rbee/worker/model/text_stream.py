"""From the bytes of tokens to text: whole characters, and never a stop sequence."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """Takes the bytes of each token and returns the text that is certain by then.

    It holds back half a UTF-8 character, and what might be the beginning of a stop sequence. Once
    it has `stopped`, it drops the rest.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stops = Stops(stop)

    @property
    def stopped(self) -> bool:
        return self._stops.stopped

    @property
    def stop_found(self) -> str | None:
        """The stop sequence that has come, if one has."""
        return self._stops.found

    def feed(self, piece: bytes) -> str:
        """The text that can be shown after `piece`; often empty."""
        return self._stops.take(self._decoder.decode(piece))

    def finish(self, cut: bool = False) -> str:
        """The text still held back, once there are no more tokens. With `cut` more might have
        come, so half a character is left out."""
        rest = "" if cut else self._decoder.decode(b"", final=True)
        return self._stops.take(rest) + self._stops.release()


class Stops:
    """Holds back what might be the beginning of a stop sequence. Once one has come, it has
    `stopped`, drops the rest, and has `found` that one: of several at the same place, the
    longest."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(stop)
        self._held = ""
        self.found: str | None = None

    @property
    def stopped(self) -> bool:
        return self.found is not None

    def take(self, text: str) -> str:
        """The text that can be shown after `text`."""
        if self.stopped:
            return ""
        self._held += text
        places = [(self._held.find(stop), -len(stop), stop) for stop in self._stop]
        if found := [place for place in places if place[0] >= 0]:
            start, _, self.found = min(found)
            shown, self._held = self._held[:start], ""
            return shown
        keep = max((_overlap(self._held, stop) for stop in self._stop), default=0)
        cut = len(self._held) - keep
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def release(self) -> str:
        """What is held back: no stop sequence can come of it any more."""
        shown, self._held = self._held, ""
        return shown


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` are a beginning of `stop`."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
