"""Asking the Hub again where that may help: six attempts, from 100 ms doubling."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rbee.contract.errors import DownloadFailed
from rbee.contract.events import Download
from rbee.contract.model_ref import ModelRef
from rbee.hive.models.hub import PassingError
from rbee.runtime.retry import doubling

T = TypeVar("T")

ATTEMPTS = 6
_PAUSES_S = tuple(doubling(0.1, ATTEMPTS))
_BROUGHT_SOME = 1 << 20


async def persist(
    model: ModelRef,
    attempt: Callable[[], Awaitable[T]],
    tell: Callable[[Download], None],
    there: Callable[[], int] = lambda: 0,
    total: int | None = None,
) -> T:
    """What `attempt` returns, once it does not raise PassingError.

    `there` says how many bytes have come. After an attempt that brought a megabyte the count begins
    again: on a line that breaks now and then even a large file arrives. Raises DOWNLOAD_FAILED.
    """
    failed = 0
    while True:
        before = there()
        try:
            return await attempt()
        except PassingError as error:
            failed = 1 if there() - before >= _BROUGHT_SOME else failed + 1
            if failed == ATTEMPTS:
                raise DownloadFailed(
                    model=str(model),
                    attempts=failed,
                    bytes_downloaded=there(),
                    bytes_total=total,
                    reason=error.reason,
                ) from None
            pause = max(_PAUSES_S[failed], error.pause_s)
            tell(
                Download(
                    "retrying",
                    bytes_downloaded=there(),
                    bytes_total=total,
                    attempt=failed + 1,
                    attempts=ATTEMPTS,
                    delay_ms=round(pause * 1000),
                    reason=error.reason,
                )
            )
            await asyncio.sleep(pause)
