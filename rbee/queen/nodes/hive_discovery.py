"""Meeting the hive that already runs on a node: whether it may be used."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract.errors import InvalidApiKey, RbeeError, VersionMismatch
from rbee.contract.nodes import NodeInfo, Owner
from rbee.contract.registry import LOCAL
from rbee.contract.versions import check, is_older
from rbee.queen.nodes.hosts import Host
from rbee.runtime.client import Client
from rbee.runtime.narration import Say

_QUEEN = "queen-rbee"
_ASK_WITHIN_S = 2.0
_LOOK_AGAIN_S = 0.2


async def find(
    site: Host,
    url: str,
    connect: Callable[[str, str], Client],
    owner: Owner,
    patience_s: float,
    say: Say,
) -> tuple[Client, str] | None:
    """The hive that answers at `url` and may be used, with its key; None where there is none.

    `connect` makes a client of a URL and a key, `owner` is this queen. One of hers that was cut off
    is ended first, for which it has `patience_s`. Raises VERSION_MISMATCH, and
    INVALID_API_KEY where no own hive can be started instead.
    """
    reached = await site.reach(url)
    async for key in site.keys():
        client = connect(reached, key)
        usable = False
        try:
            info = await client.call(ep.HIVE_NODE, within_s=_ASK_WITHIN_S)
            if await _is_usable(info, client, url, owner, patience_s, say):
                health = await client.call(ep.HIVE_HEALTH, within_s=_ASK_WITHIN_S)
                check_hive(site, health.version)
                say(_QUEEN, "🏠", f"using the hive that runs at {url}")
                usable = True
                return client, key
        except InvalidApiKey:
            continue
        except VersionMismatch:
            raise
        except RbeeError:  # nobody is there, or nobody of ours
            pass
        finally:
            if not usable:
                await client.close()
        return None
    if not site.starts:
        raise InvalidApiKey(host=url, node=site.node)
    say(_QUEEN, "🏠", f"what answers at {url} does not know our key: starting an own hive")
    return None


async def wait_for_end(client: Client, within_s: float) -> None:
    """Until nothing answers there, or it has had time enough."""
    with contextlib.suppress(RbeeError, TimeoutError):
        async with asyncio.timeout(within_s):
            while True:
                await client.call(ep.HIVE_HEALTH, within_s=_ASK_WITHIN_S)
                await asyncio.sleep(_LOOK_AGAIN_S)


def check_hive(site: Host, version: str) -> None:
    """Raises VERSION_MISMATCH, with what brings the older side up to the newer one."""
    try:
        check(_QUEEN, __version__, "rbee-hive", version)
    except VersionMismatch as error:
        if site.node == LOCAL:
            raise
        told = f"{error.message.rstrip('.')} on {site.node}."
        here = f"Update rbee on this machine: pip install 'rbee=={version}'"
        hint = site.update if is_older(version, __version__) else here
        raise VersionMismatch(told, **{**error.details, "hint": hint}) from None


async def _is_usable(
    info: NodeInfo, client: Client, url: str, owner: Owner, patience_s: float, say: Say
) -> bool:
    if info.state == "draining":
        say(_QUEEN, "🏠", f"waiting for the end of the hive at {url}, which has begun")
        await wait_for_end(client, patience_s)
        return False
    if info.owner is None:
        return True
    if info.owner == owner:
        # It would end anyway, when its lease does.
        say(_QUEEN, "🏠", f"ending the hive at {url}, which was cut off from its queen")
        with contextlib.suppress(RbeeError):
            await client.call(ep.SHUTDOWN, within_s=_ASK_WITHIN_S)
        await wait_for_end(client, patience_s)
        return False
    who = f"{info.owner.program} (pid {info.owner.pid} on {info.owner.host})"
    say(_QUEEN, "🏠", f"the hive at {url} belongs to {who}: starting an own one")
    return False
