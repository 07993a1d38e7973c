"""What the Hub was asked, when, and how much of it was sent: the evidence of the steps."""

import time
from dataclasses import dataclass, field
from pathlib import PurePosixPath


@dataclass
class HubRequest:
    """`server` is hub, or storage: the other host to which files may be redirected.

    `authorization` is the whole header, or "". `sent` counts a file's bytes only.
    """

    server: str
    host: str
    method: str
    path: str
    range: str
    authorization: str
    query: dict[str, str] = field(default_factory=dict)
    at: float = field(default_factory=time.monotonic)
    status: int = 0
    sent: int = 0
    ended_at: float | None = None

    @property
    def begin(self) -> int:
        """The first byte that was asked for."""
        first = self.range.removeprefix("bytes=").partition("-")[0]
        return int(first) if first else 0

    @property
    def bounded(self) -> bool:
        """Whether it asks for a piece, as of a header, and not for everything that is left."""
        return bool(self.range) and not self.range.endswith("-")

    @property
    def of_a_file(self) -> bool:
        return "/resolve/" in self.path or self.server == "storage"

    @property
    def filename(self) -> str:
        return PurePosixPath(self.path).name


class RequestLog:
    """Grows while the Hub lives. Every method returns a copy."""

    def __init__(self) -> None:
        self._all: list[HubRequest] = []

    def note(self, record: HubRequest) -> None:
        self._all.append(record)

    def all(self) -> list[HubRequest]:
        return list(self._all)

    def listings(self) -> list[HubRequest]:
        return [record for record in self.all() if record.path.startswith("/api/models/")]

    def searches(self) -> list[HubRequest]:
        return [record for record in self.all() if record.path == "/api/models"]

    def transfers(self, filename: str = "") -> list[HubRequest]:
        """Requests for a file or for the rest of it, in order.

        If files are redirected, these are the storage's requests.
        """
        return [
            record
            for record in self.all()
            if record.of_a_file
            and record.method == "GET"
            and not record.bounded
            and record.status not in (301, 302, 307, 308)
            and filename in ("", record.filename)
        ]

    def pieces(self) -> list[HubRequest]:
        """Requests for a range with an end: the header of a file."""
        return [record for record in self.all() if record.of_a_file and record.bounded]

    def bytes_sent(self) -> int:
        return sum(record.sent for record in self.all())
