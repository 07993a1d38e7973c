"""What every error of ours is: words for a person, and one shape on the wire."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class ErrorBody(msgspec.Struct, frozen=True):
    """The inside of the envelope. ALL_SLOTS_BUSY also carries its two numbers here."""

    code: str
    message: str
    details: dict[str, Any] = {}
    slots_total: int | msgspec.UnsetType = msgspec.UNSET
    slots_busy: int | msgspec.UnsetType = msgspec.UNSET


class ErrorEnvelope(msgspec.Struct, frozen=True):
    """Every error body of every program, and the data of an `error` event."""

    error: ErrorBody


class RbeeError(Exception):
    """An error that a person can act on.

    `status` is the HTTP status, None where the error never crosses HTTP. `exit_code` is what the
    keeper and the daemons' command lines end with.
    """

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int | None] = 500
    keys: ClassVar[tuple[str, ...]] = ()
    says: ClassVar[str] = "Something failed."
    advises: ClassVar[str] = ""
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str | None = None, /, **details: Any) -> None:
        missing = [key for key in self.keys if key not in details]
        if missing:
            raise TypeError(f"{type(self).__name__} lacks its details: {', '.join(missing)}")
        self.details = details
        self.message = message or self.says.format_map(details)
        super().__init__(self.message)

    @property
    def advice(self) -> str:
        """What to do next, in a sentence; empty where there is nothing to do."""
        return self.advises.format_map(self.details)

    @property
    def retry_after_s(self) -> int | None:
        """Seconds for the Retry-After header; None where trying again soon changes nothing."""
        return 1 if self.status == 503 else None

    def envelope(self) -> ErrorEnvelope:
        """The error as it stands on the wire."""
        return ErrorEnvelope(ErrorBody(self.code, self.message, self.details))

    @classmethod
    def from_body(cls, body: ErrorBody) -> RbeeError:
        """The error that another program raised; INTERNAL for a code that we do not know."""
        known = _by_code(RbeeError)
        found = known.get(body.code, known["INTERNAL"])
        details = dict(body.details)
        for key in found.keys:
            details.setdefault(key, None)
        return found(body.message, **details)


def _by_code(root: type[RbeeError]) -> dict[str, type[RbeeError]]:
    """Every class below `root` by its code; where two share one, the one nearer to the root."""
    found: dict[str, type[RbeeError]] = {}
    for cls in root.__subclasses__():
        for code, sub in {**_by_code(cls), cls.code: cls}.items():
            found.setdefault(code, sub)
    return found
