"""A wait that a person can watch: counted down in place on a terminal, one line elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rbee.runtime import outputs, safe_text
from rbee.runtime.terminal import CLEAR_LINE, can_redraw


async def count_down(
    seconds: int,
    text: Callable[[int], str],
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Wait. `text` gives the line for the seconds that are left; the line for 0 stays."""

    def line(left: int) -> str:
        return safe_text.line(text(left))

    if not can_redraw():
        outputs.write_error(f"{line(seconds)}\n")
        await sleep(seconds)
        return
    now = asyncio.get_running_loop().time
    end = now() + seconds
    try:
        for left in range(seconds, 0, -1):
            outputs.write_error(f"{CLEAR_LINE}{line(left)}")
            await sleep(end - left + 1 - now())
    except asyncio.CancelledError:
        outputs.write_error("\n")
        raise
    outputs.write_error(f"{CLEAR_LINE}{line(0)}\n")
