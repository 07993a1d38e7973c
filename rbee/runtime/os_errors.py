"""The operating system's own words for an error, without Python's additions."""

from __future__ import annotations

import os
import re

_ASYNCIO_S = re.compile("Connect call failed|Multiple exceptions")
_NUMBER = re.compile(r"\[Errno (\d+)\]")


def strerror(error: OSError) -> str:
    """The system's message; asyncio adds its own, with an address as a Python tuple."""
    told = error.strerror or str(error) or type(error).__name__
    if _ASYNCIO_S.match(told) is None:
        return told
    number = error.errno or int((_NUMBER.search(told) or [0, 0])[1])
    return os.strerror(number) if number else "no connection"
