"""The hives from which another hive can fetch a model, and how it reaches them.

The queen, which has the keys of all hives, asks each for a ticket. A hive that the node can't reach
by itself, such as this machine's on 127.0.0.1, is reached back through the node's SSH connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence

from rbee.contract import endpoints as ep
from rbee.contract.errors import ConnectionTimeout, RbeeError
from rbee.contract.model_ref import parse
from rbee.contract.models import DownloadRequest, ModelName, ModelSource, SharedModel
from rbee.contract.registry import LOCAL
from rbee.queen.nodes.hive import Hive
from rbee.runtime import bind
from rbee.runtime.client import address
from rbee.runtime.narration import Narrator, Say

# How many hives are asked, and how many of them the node is told of.
_MOST_ASKED, _MOST_TOLD = 32, 3
_ASK_WITHIN_S, _START_WITHIN_S = 2.0, 15.0
# What a hive names that listens on every address.
_EVERYWHERE = ("0.0.0.0", "::")
_log = logging.getLogger("queen-rbee")


@contextlib.asynccontextmanager
async def offered(
    hive: Hive, wanted: DownloadRequest, others: Sequence[Hive]
) -> AsyncIterator[list[ModelSource]]:
    """The sources of the model among the `others`; none if the hive has it already. The tunnels to
    them close with the block; for a detached download, when the tickets expire."""
    sources: list[ModelSource] = []
    closing: list[Callable[[], None]] = []
    try:
        for other, shared in await _sharing(hive, wanted.model, others):
            try:
                url, far, close = await _way(other, hive)
            except RbeeError as error:
                _log.info("%s can't reach %s: %s", hive.node, other.node, error.message)
                continue
            sources.append(ModelSource(other.node, url, far, shared))
            if wanted.detach:
                asyncio.get_running_loop().call_later(shared.expires_in_s, close)
            else:
                closing.append(close)
        # What goes through a tunnel takes the way through this machine.
        yield sorted(sources, key=lambda source: source.far is not None)
    finally:
        for close in closing:
            close()


async def start(others: Sequence[Hive], say: Say) -> list[Hive]:
    """Start the hives that do not run; those that have been started. A node that did not answer
    the last time is left alone, and others are not waited for long."""

    async def begin(other: Hive) -> bool:
        try:
            async with asyncio.timeout(_START_WITHIN_S):
                await other.ensure_running(Narrator(lambda _: None, other.node))
        except (RbeeError, TimeoutError):
            return False
        return True

    able = [
        each for each in others if each.host.can_start and not (each.is_running or each.is_away)
    ][:_MOST_ASKED]
    if able:
        names = ", ".join(each.node for each in able)
        say("queen-rbee", "🐝", f"starting rbee-hive on {names}, to look for the model")
    started = await asyncio.gather(*(begin(each) for each in able))
    return [each for each, is_there in zip(able, started, strict=True) if is_there]


async def _sharing(
    hive: Hive, model: str, others: Sequence[Hive]
) -> list[tuple[Hive, SharedModel]]:
    """The hives that share the model, each with its ticket."""
    others = others[:_MOST_ASKED]
    if not others or not await _lacks(hive, model):
        return []
    shared = await asyncio.gather(*(_asked(other, model) for other in others))
    found = [(other, each) for other, each in zip(others, shared, strict=True) if each is not None]
    return found[:_MOST_TOLD]


async def _lacks(hive: Hive, model: str) -> bool:
    """Whether this is a model of the Hub that the hive does not have."""
    try:
        if parse(model).scheme != "hf":
            return False
        return (await hive.http.call(ep.HIVE_RESOLVE, ModelName(model))).reference is None
    except RbeeError:
        return False


async def _asked(other: Hive, model: str) -> SharedModel | None:
    """None if no hive runs there, or it does not have the model. This machine's is started."""
    try:
        if other.node == LOCAL:
            await other.ensure_running(Narrator(lambda _: None, LOCAL))
        elif not other.is_running and (other.is_away or not await other.discover()):
            return None
        return await other.http.call(ep.HIVE_MODEL_SHARE, ModelName(model), within_s=_ASK_WITHIN_S)
    except RbeeError as error:
        _log.debug("%s does not share %s: %s", other.node, model, error.message)
        return None


async def _way(other: Hive, hive: Hive) -> tuple[str, str | None, Callable[[], None]]:
    """The URL at which `hive` reaches the other one, that at the far end if it is a tunnel, and
    what closes the tunnel. Raises CONNECTION_TIMEOUT and SSH_CONNECTION_FAILED."""
    url, far = other.http.url, other.http.far
    name, port = address(url)
    name = "127.0.0.1" if name in _EVERYWHERE else name
    is_in_reach = far is None and not (other.node == LOCAL and bind.is_loopback(name))
    if hive.node == LOCAL or is_in_reach:
        return url, far, lambda: None
    if hive.host.remote is None:
        raise ConnectionTimeout(
            f"{other.node} is only reached from this machine, and {hive.node} not over SSH.",
            host=name,
            port=port,
            attempts=1,
        )
    back, close = await hive.host.remote.forward_back(name, port)
    return bind.url("127.0.0.1", back), far or bind.url(name, port), close
