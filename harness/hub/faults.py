"""What is wrong with the Hub, as a scenario chose. Counts and speed may change while it runs."""

import threading
from dataclasses import dataclass, field

EACH_TIME = 1_000_000

# How a transfer breaks off:
#   resets     the connection is reset
#   ends early it is closed cleanly before Content-Length is reached
#   stalls     nothing more is sent, and nothing is closed
#   truncated  the reply's own Content-Length is too small, and the reply ends there
WAYS_TO_BREAK = ("resets", "ends early", "stalls", "truncated")


# In place of a repository's listing: a beginning, and whether it goes on with blanks for ever.
ODD_LISTINGS = {
    "never end": (b'{"siblings":[', True),
    "have a word in place of their list": (b'{"siblings":"x"}', False),
    "say no sizes": (b'{"siblings":[{"rfilename":"small.gguf"}]}', False),
    "say no sha256": (b'{"siblings":[{"rfilename":"small.gguf","size":14878880}]}', False),
}


@dataclass
class Interruption:
    how: str
    share: float
    left: int


@dataclass
class Refusal:
    """`where` is "search", "listing", "file", "header" (a range of a file with an end) or "any"."""

    status: int
    retry_after: int | None
    where: str
    left: int


@dataclass
class HubFaults:
    bytes_per_second: float | None = None
    ignores_ranges: bool = False
    listings: tuple[bytes, bool] | None = None
    _breaks: list[Interruption] = field(default_factory=list)
    _refusals: list[Refusal] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def break_off(self, how: str, share: float, times: int = 1) -> None:
        """Break off at that share of the whole file, whatever range was asked for."""
        assert how in WAYS_TO_BREAK, how
        self._breaks.append(Interruption(how, share, times))

    def refuse(
        self, status: int, times: int, retry_after: int | None = None, where: str = "file"
    ) -> None:
        self._refusals.append(Refusal(status, retry_after, where, times))

    def clear(self) -> None:
        with self._lock:
            self._breaks.clear()
            self._refusals.clear()
            self.bytes_per_second, self.ignores_ranges, self.listings = None, False, None

    def next_break(self) -> Interruption | None:
        with self._lock:
            found = next((fault for fault in self._breaks if fault.left), None)
            if found:
                found.left -= 1
            return found

    def next_refusal(self, where: str) -> Refusal | None:
        with self._lock:
            found = next(
                (fault for fault in self._refusals if fault.left and fault.where in (where, "any")),
                None,
            )
            if found:
                found.left -= 1
            return found
