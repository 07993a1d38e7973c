"""How far a reader has got in a node's log, so that a broken stream resumes without gaps or
duplicates."""

from __future__ import annotations

from rbee.contract.logs import LogLine


class LogPosition:
    """Judges every line in the order in which they come. After a break the log comes again from
    its start: call `restart`, and lines that have been read are not new."""

    def __init__(self) -> None:
        # By source: the time of its last line, and how many lines had that time.
        self._last: dict[str, tuple[float, int]] = {}
        # The lines to skip after a restart; None before one.
        self._to_skip: dict[str, tuple[float, int]] | None = None
        self._floor: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether any line has come yet."""
        return self._floor is not None

    def restart(self) -> None:
        """The next lines come from the start of the log again."""
        if self.has_begun:
            self._to_skip = dict(self._last)

    def is_new(self, line: LogLine) -> bool:
        """Whether this line has not been read before."""
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
