"""A daemon that runs and answers nothing: found by its pid file, ended by its pid."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from rbee.contract.daemons import PidFile
from rbee.contract.errors import ProgramFailed
from rbee.runtime import bind, paths, pid_file

_LOOK_AGAIN_S = 0.05


def find_hung(program: str, host: str, port: int) -> PidFile | None:
    """The `program` of this machine that holds `host`:`port`, as its pid file has it.

    None where that process runs no more (another one may have its pid by now: the start time tells
    them apart), or where somebody else holds the address.
    """
    if not bind.is_local(host):
        return None
    named = pid_file.read(paths.pid_file(program))
    held_by = bind.holder(host, port) or ""
    if named is None or named.program != program or not held_by.endswith(f"(pid {named.pid})"):
        return None
    return named


async def end_hung(named: PidFile, grace_s: float) -> None:
    """TERM, and KILL after the grace period, to just that process. Its lifelines end with it, and
    so does what hangs on them. Raises PROGRAM_FAILED where even that does not help."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            if pid_file.is_running(named.pid, named.started):
                os.kill(named.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while pid_file.is_running(named.pid, named.started):  # noqa: ASYNC110  not our child
                    await asyncio.sleep(_LOOK_AGAIN_S)
            return
    raise ProgramFailed(
        f"{named.program} (pid {named.pid}) was killed and still runs.",
        program=named.program,
        reason="it can't be ended",
    )
