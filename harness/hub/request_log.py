"""What was asked of the Hub, when, and how much of it went out: the evidence of the steps."""

import time
from dataclasses import dataclass, field
from pathlib import PurePosixPath


@dataclass
class HubRequest:
    """`server` is hub, or storage: the other host to which files may be redirected.

    `authorization` is the whole header, "" without one. `sent` counts a file's bytes only.
    """

    server: str
    host: str
    method: str
    path: str
    range: str
    authorization: str
    at: float = field(default_factory=time.monotonic)
    status: int = 0
    sent: int = 0
    ended_at: float | None = None

    @property
    def begin(self) -> int:
        """The first byte asked for."""
        first = self.range.removeprefix("bytes=").partition("-")[0]
        return int(first) if first else 0

    @property
    def bounded(self) -> bool:
        """Asks for a piece, as of a header, and not for all that is left."""
        return bool(self.range) and not self.range.endswith("-")

    @property
    def of_a_file(self) -> bool:
        return "/resolve/" in self.path or self.server == "storage"

    @property
    def filename(self) -> str:
        return PurePosixPath(self.path).name


class RequestLog:
    """Grows while the Hub lives. Every look is at a copy."""

    def __init__(self) -> None:
        self._all: list[HubRequest] = []

    def note(self, asked: HubRequest) -> None:
        self._all.append(asked)

    def all(self) -> list[HubRequest]:
        return list(self._all)

    def listings(self) -> list[HubRequest]:
        return [asked for asked in self.all() if asked.path.startswith("/api/models/")]

    def transfers(self, filename: str = "") -> list[HubRequest]:
        """A file, or what is left of it, in the order in which they were asked for.

        Where a file is redirected it is the storage that sends it.
        """
        return [
            asked
            for asked in self.all()
            if asked.of_a_file
            and asked.method == "GET"
            and not asked.bounded
            and asked.status not in (301, 302, 307, 308)
            and filename in ("", asked.filename)
        ]

    def pieces(self) -> list[HubRequest]:
        """What was asked for by a range with an end: the header of a file."""
        return [asked for asked in self.all() if asked.of_a_file and asked.bounded]

    def bytes_sent(self) -> int:
        return sum(asked.sent for asked in self.all())
