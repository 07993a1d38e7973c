"""A wait that a person sees pass: counted down in place on a terminal, one line elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rbee.keeper.adapters import outputs
from rbee.keeper.adapters.bars import can_be_shown

_TO_ITS_BEGINNING = "\r\x1b[K"


async def count_down(seconds: int, words: Callable[[int], str]) -> None:
    """Wait. `words` has the line for the seconds that are left; the one for 0 stays."""
    if not can_be_shown():
        outputs.tell(f"{words(seconds)}\n")
        await asyncio.sleep(seconds)
        return
    now = asyncio.get_running_loop().time
    end = now() + seconds
    try:
        for left in range(seconds, 0, -1):
            outputs.tell(f"{_TO_ITS_BEGINNING}{words(left)}")
            await asyncio.sleep(end - left + 1 - now())
    except asyncio.CancelledError:
        outputs.tell("\n")
        raise
    outputs.tell(f"{_TO_ITS_BEGINNING}{words(0)}\n")
