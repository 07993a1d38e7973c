"""How far somebody has read a node's log: taken up again, it has neither a gap nor a double."""

from __future__ import annotations

from rbee.contract.logs import LogLine


class LogPlace:
    """Asked of every line in the order in which they come. After a break everything comes again, as
    far as there is a log of it: `begin_again`, and what was there before is no news."""

    def __init__(self) -> None:
        # Of each source the time of its last line, and how many lines of that time there were.
        self._last: dict[str, tuple[float, int]] = {}
        # None until it comes again.
        self._to_skip: dict[str, tuple[float, int]] | None = None
        self._floor: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether anything has come yet."""
        return self._floor is not None

    def begin_again(self) -> None:
        """The next lines are those of the past once more."""
        if self.has_begun:
            self._to_skip = dict(self._last)

    def is_news(self, line: LogLine) -> bool:
        """Whether this line has not been here before."""
        at = line.at
        if at is None:
            return True
        if self._floor is None:
            self._floor = at
        if self._to_skip is not None:
            until, left = self._to_skip.get(line.source, (self._floor, 0))
            if at < until:
                return False
            if at == until and left > 0:
                self._to_skip[line.source] = until, left - 1
                return False
        last, count = self._last.get(line.source, (at, 0))
        self._last[line.source] = at, count + 1 if at == last else 1
        return True
