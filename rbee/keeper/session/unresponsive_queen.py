"""A daemon that runs but does not answer: found by its pid file, ended by its pid."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from rbee.contract.daemons import PidFile
from rbee.contract.errors import ProgramFailed
from rbee.runtime import bind, paths, pid_file

_POLL_S = 0.05


def find_unresponsive(program: str, host: str, port: int) -> PidFile | None:
    """The `program` of this machine that holds `host`:`port`, according to its pid file.

    None if that process has ended (the start time tells it from another one that has got its pid
    since), or if another process holds the address.
    """
    if not bind.is_local(host):
        return None
    named = pid_file.read(paths.pid_file(program))
    held_by = bind.holder(host, port) or ""
    if named is None or named.program != program or not held_by.endswith(f"(pid {named.pid})"):
        return None
    return named


async def end_unresponsive(
    named: PidFile, grace_s: float, kill: Callable[[int, int], None] = os.kill
) -> None:
    """Send it TERM, and KILL after the grace period. Its lifelines close with it, which ends
    everything below. Raises PROGRAM_FAILED if it still runs."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            if pid_file.is_running(named.pid, named.started):
                kill(named.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while pid_file.is_running(named.pid, named.started):  # noqa: ASYNC110  not our child
                    await asyncio.sleep(_POLL_S)
            return
    raise ProgramFailed(
        f"{named.program} (pid {named.pid}) was killed and still runs.",
        program=named.program,
        reason="it can't be ended",
    )
