"""A wait that a person sees pass: counted down in place on a terminal, one line elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rbee.runtime import outputs
from rbee.runtime.progress_bar import can_redraw

_TO_ITS_BEGINNING = "\r\x1b[K"


async def count_down(seconds: int, words: Callable[[int], str]) -> None:
    """Wait. `words` has the line for the seconds that are left; the one for 0 stays."""
    if not can_redraw():
        outputs.write_error(f"{words(seconds)}\n")
        await asyncio.sleep(seconds)
        return
    now = asyncio.get_running_loop().time
    end = now() + seconds
    try:
        for left in range(seconds, 0, -1):
            outputs.write_error(f"{_TO_ITS_BEGINNING}{words(left)}")
            await asyncio.sleep(end - left + 1 - now())
    except asyncio.CancelledError:
        outputs.write_error("\n")
        raise
    outputs.write_error(f"{_TO_ITS_BEGINNING}{words(0)}\n")
