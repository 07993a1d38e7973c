"""Find the hive that runs on a node already, and decide whether this queen may use it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from rbee.contract import endpoints as ep
from rbee.contract.errors import InvalidApiKey, KeyNotProven, RbeeError, VersionMismatch
from rbee.contract.nodes import NodeInfo, Owner
from rbee.queen.nodes.hosts import Host, check_hive_version
from rbee.runtime.client import Client
from rbee.runtime.narration import Say

_QUEEN = "queen-rbee"
# Shorter than the endpoints' deadlines, because a person waits while a mute hive is asked.
# Short: a hive that hangs must not hold up the start of another one.
_PROBE_WITHIN_S = 2.0
_ASK_AGAIN_S = 0.2


async def find_hive(
    host: Host,
    url: str,
    connect: Callable[[str], Client],
    owner: Owner,
    patience_s: float,
    say: Say,
) -> tuple[Client, str] | None:
    """The hive that answers at `url` and may be used, with its key; None if there is none.

    `connect` makes a client of it from a key, `owner` is this queen. A hive of this queen that was
    cut off from it is shut down first, which may take `patience_s`. Raises VERSION_MISMATCH; and
    INVALID_API_KEY and KEY_NOT_PROVEN where this queen can't start a hive of its own instead.
    """
    refused = False
    async for key in host.api_keys():
        client = connect(key)
        usable = False
        try:
            info = await client.call(ep.HIVE_NODE, within_s=_PROBE_WITHIN_S)
            if await _may_be_used(info, client, url, owner, patience_s, say):
                health = await client.call(ep.HIVE_HEALTH, within_s=_PROBE_WITHIN_S)
                check_hive_version(host, health.version)
                say(_QUEEN, "🏠", f"using the hive that runs at {url}")
                usable = True
                return client, key
        except InvalidApiKey:
            refused = True
            continue
        except KeyNotProven as error:
            if not host.can_start:
                error.details["node"] = host.node
                raise
            say(_QUEEN, "🏠", f"{error.message.rstrip('.')}: starting another one")
        except VersionMismatch:
            raise
        except RbeeError:  # nothing answers, or another program
            pass
        finally:
            if not usable:
                await client.close()
        return None
    if not host.can_start:
        raise InvalidApiKey(host=url, node=host.node)
    if refused:
        say(_QUEEN, "🏠", f"what answers at {url} does not know our key: starting another one")
    return None


async def answers(client: Client) -> bool:
    """Whether the hive answers at this moment."""
    try:
        await client.call(ep.HIVE_HEALTH, within_s=_PROBE_WITHIN_S)
    except RbeeError:
        return False
    return True


async def tell_to_end(client: Client) -> bool:
    """Ask the hive to shut down. Whether it said that it will."""
    try:
        await client.call(ep.SHUTDOWN)
    except RbeeError:
        return False
    return True


async def wait_for_end(client: Client, within_s: float) -> bool:
    """Wait until nothing answers there, for `within_s` at most. Whether nothing does."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while True:
                if not await answers(client):
                    return True
                await asyncio.sleep(_ASK_AGAIN_S)
    return not await answers(client)


async def _may_be_used(
    info: NodeInfo, client: Client, url: str, owner: Owner, patience_s: float, say: Say
) -> bool:
    if info.state == "draining":
        say(_QUEEN, "🏠", f"waiting for the end of the hive at {url}, which has begun")
        await wait_for_end(client, patience_s)
        return False
    if info.owner is None:
        return True
    if info.owner == owner:
        # It would end in any case, when its lease does.
        say(_QUEEN, "🏠", f"ending the hive at {url}, which was cut off from its queen")
        await tell_to_end(client)
        await wait_for_end(client, patience_s)
        return False
    who = f"{info.owner.program} (pid {info.owner.pid} on {info.owner.host})"
    say(_QUEEN, "🏠", f"the hive at {url} belongs to {who}: starting another one")
    return False
