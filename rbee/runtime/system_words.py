"""What the system says of a failure, without what Python puts around it."""

from __future__ import annotations

import os
import re

_ASYNCIO_S = re.compile("Connect call failed|Multiple exceptions")
_NUMBER = re.compile(r"\[Errno (\d+)\]")


def strerror(error: OSError) -> str:
    """The system's words; asyncio has its own, with an address in Python's writing."""
    told = error.strerror or str(error) or type(error).__name__
    if _ASYNCIO_S.match(told) is None:
        return told
    number = error.errno or int((_NUMBER.search(told) or [0, 0])[1])
    return os.strerror(number) if number else "no connection"
