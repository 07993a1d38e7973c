"""The word to the hive that this worker listens. A hive that does not answer is tried again, then
given up on with a warning: a worker that was started by hand serves without one."""

from __future__ import annotations

import asyncio
import logging

from rbee.contract.endpoints import HIVE_READY
from rbee.contract.errors import RbeeError
from rbee.contract.workers import ReadyCallback
from rbee.runtime.client import Client
from rbee.runtime.retry import doubling

_ATTEMPTS = 6
_FIRST_PAUSE_S = 0.2
_log = logging.getLogger("llm-worker-rbee")


async def announce(hive: Client, callback: ReadyCallback) -> None:
    """Tell the hive, up to six times."""
    for attempt, pause in enumerate(doubling(_FIRST_PAUSE_S, _ATTEMPTS), start=1):
        await asyncio.sleep(pause)
        try:
            await hive.call(HIVE_READY, callback)
            return
        except RbeeError as error:
            _log.info("ready callback, attempt %d of %d: %s", attempt, _ATTEMPTS, error)
    _log.warning("the hive at %s was not told that this worker listens", hive.url)
