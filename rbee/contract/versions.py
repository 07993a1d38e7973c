"""Whether two versions of rbee may talk to each other."""

from __future__ import annotations

from rbee.contract.errors import VersionMismatch


def is_older(version: str, than: str) -> bool:
    """By their numbers."""
    numbers = [
        [int(part) for part in text.split(".") if part.isdigit()] for text in (version, than)
    ]
    return numbers[0] < numbers[1]


def check(program: str, version: str, other_program: str, other_version: str) -> None:
    """Same major.minor is a match; raises VERSION_MISMATCH otherwise."""
    if version.split(".")[:2] != other_version.split(".")[:2]:
        raise VersionMismatch(
            program=program,
            version=version,
            other_program=other_program,
            other_version=other_version,
        )
