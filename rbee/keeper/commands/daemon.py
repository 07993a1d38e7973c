"""`rbee-keeper daemon start|stop|status`: a queen that lasts."""

from __future__ import annotations

import contextlib

from rbee.contract import endpoints as ep
from rbee.contract.errors import RbeeError
from rbee.keeper.adapters.screen import Screen
from rbee.keeper.services.queen import Queen
from rbee.keeper.settings import KeeperSettings

_LIST_WITHIN_S = 6.0


async def start(settings: KeeperSettings, screen: Screen) -> int:
    """Start a queen, or make the one that runs last."""
    queen = Queen(settings)
    try:
        await queen.reach(keep=True)
        health = await queen.client.call(ep.QUEEN_HEALTH)
        what = "started" if queen.started_here else "running already"
        screen.say(f"queen-rbee {what}: {queen.client.url}, pid {health.pid}")
        return 0
    finally:
        await queen.release()


async def stop(settings: KeeperSettings, screen: Screen) -> int:
    """End the queen and all that she owns, and wait until she is gone."""
    queen = Queen(settings)
    try:
        health = await queen.find()
        if health is None:
            screen.say(f"No queen-rbee runs at {settings.queen_url}.")
            return 0
        loaded = "workers not known"
        with contextlib.suppress(RbeeError):
            listed = await queen.client.call(ep.QUEEN_WORKERS, within_s=_LIST_WITHIN_S)
            loaded = f"{len(listed.workers)} worker(s) were loaded"
        await queen.client.call(ep.SHUTDOWN)
        await queen.wait_until_gone()
        screen.say(f"queen-rbee stopped (pid {health.pid}); {loaded}")
        return 0
    finally:
        await queen.client.close()


async def status(settings: KeeperSettings, screen: Screen) -> int:
    """Say whether a queen runs, and what she has loaded; 1 where none runs."""
    queen = Queen(settings)
    try:
        health = await queen.find()
        if health is None:
            screen.say(f"No queen-rbee runs at {settings.queen_url}.")
            screen.note("→ Start one that lasts: rbee-keeper daemon start")
            return 1
        life = "until told to stop" if health.lifetime == "persistent" else "with its command"
        where = f"{settings.queen_url}, pid {health.pid}"
        screen.say(f"queen-rbee {health.version} runs at {where}; it ends {life}")
        for worker in (await queen.client.call(ep.QUEEN_WORKERS)).workers:
            slots = f"{worker.slots_available} of {worker.slots_total} slots free"
            screen.say(f"  {worker.node}  {worker.model_ref}  {worker.state}, {slots}")
        return 0
    finally:
        await queen.client.close()
