"""Whether a hive runs here, and what it does."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.daemons import PidFile
from rbee.contract.errors import InvalidApiKey, RbeeError
from rbee.contract.registry import LOCAL, HiveStatus
from rbee.runtime import api_key, paths, pid_file
from rbee.runtime.client import Client

_WITHIN_S = 5.0


def running() -> PidFile | None:
    """The hive that has written the pid file, if it still runs: a pid that somebody else has by
    now is seen through by its start time."""
    return pid_file.read(paths.pid_file("hive-rbee"))


@contextlib.asynccontextmanager
async def client(config: Config, hive: PidFile) -> AsyncIterator[Client]:
    """To ask it with this machine's key, which is not that of a hive of another machine's queen."""
    times = config.times
    key = api_key.load(config.auth.api_key_file)
    async with Client(hive.url, key, times.connect_s, times.stream_silence_s) as asked:
        yield asked


async def status(config: Config, hive: PidFile | None) -> HiveStatus:
    """As the hive says it itself. Raises nothing of what it may answer."""
    if hive is None:
        return HiveStatus(node=LOCAL, state="stopped")
    found = HiveStatus(node=LOCAL, state="running", url=hive.url)
    async with client(config, hive) as asked:
        try:
            health = await asked.call(ep.HIVE_HEALTH, within_s=_WITHIN_S)
            node = await asked.call(ep.HIVE_NODE, within_s=2 * _WITHIN_S)
            rows = await asked.call(ep.HIVE_WORKERS, within_s=_WITHIN_S)
        except InvalidApiKey:
            told = "it belongs to another machine's queen, and does not take this machine's key"
            return msgspec.structs.replace(found, error=told)
        except RbeeError as error:
            return msgspec.structs.replace(found, state="unreachable", error=error.message)
    return HiveStatus.of(LOCAL, hive.url, health.version, node, rows.workers, ours=False)
