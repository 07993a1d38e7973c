"""Every node looked at, whether its hive runs or not: can it be reached, which rbee is there, and
what time is it there. Nothing is started; what is found is noted in the registry."""

from __future__ import annotations

import asyncio
import logging
import time

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import (
    ConnectionTimeout,
    Internal,
    InvalidApiKey,
    ProgramFailed,
    RbeeError,
)
from rbee.contract.nodes import NodeInfo
from rbee.contract.registry import HiveStatus, NodeCheck, NodeChecks, NodeRow
from rbee.queen.nodes.hive_discovery import check_hive
from rbee.queen.nodes.hosts import UrlHost
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.ssh_host import SshHost, site
from rbee.queen.ssh import hive_process as remote_hive
from rbee.queen.ssh.detection import detected
from rbee.queen.ssh.login import NoAnswerError
from rbee.runtime.client import Client
from rbee.runtime.log import correlation_id

_ASK_WITHIN_S = 10.0
_DETECT_WITHIN_S = 60.0
_log = logging.getLogger("queen-rbee")


class Health:
    """Asks the nodes that the registry and the config file have."""

    def __init__(self, nodes: Nodes, config: Config) -> None:
        self._nodes = nodes
        self._config = config

    async def all(self) -> NodeChecks:
        """All at the same time."""
        rows = self._nodes.registry.rows()
        return NodeChecks(await asyncio.gather(*(self._safely(row) for row in rows)))

    async def _safely(self, row: NodeRow) -> NodeCheck:
        """One node's trouble hides no other one."""
        try:
            return await self._check(row)
        except Exception:
            mark = correlation_id.get()
            _log.exception("looking at %s failed", row.node_name)
            fault = Internal(correlation_id=mark)
            return NodeCheck(
                node=row.node_name,
                hive="unreachable",
                code=fault.code,
                error=fault.message,
                advice=fault.advice or None,
            )

    async def _check(self, row: NodeRow) -> NodeCheck:
        status = HiveStatus(node=row.node_name, state="unreachable")
        place = site(row, self._config)
        version = ahead = None
        try:
            if isinstance(place, SshHost):
                version, ahead = await self._by_ssh(place)
                hive = self._nodes.hive(row.node_name)
                status = await self._nodes.status(hive)
                version = status.version or version
                if hive.last_error is not None and not hive.is_running:
                    raise hive.last_error
            else:
                info, version, ahead = await self._by_hive(place)
                status = HiveStatus(node=row.node_name, state=info.state)
            check_hive(place, version)
            if status.state == "unreachable":
                raise _unusable(status)
        except RbeeError as error:
            return NodeCheck(
                node=row.node_name,
                hive=status.state,
                version=version,
                clock_ahead_s=ahead,
                code=error.code,
                error=error.message,
                advice=error.advice or None,
            )
        finally:
            await place.close()
        return NodeCheck(
            node=row.node_name, hive=status.state, version=version, clock_ahead_s=ahead
        )

    async def _by_ssh(self, place: SshHost) -> tuple[str, float | None]:
        """The version of the program there, and how much the clock is ahead."""
        limit_s = self._config.times.connect_s
        try:
            async with asyncio.timeout(limit_s):
                await place.ssh.connect()
            found = await place.ssh.run(
                remote_hive.RUN, place.program, "detect", "--json", within_s=_DETECT_WITHIN_S
            )
        except NoAnswerError as error:
            raise _named(error.told(), place) from None
        except TimeoutError:
            told = f"{place.node} does not answer: timeout, no answer within {limit_s:g} s."
            port = await place.ssh.port()
            raise ConnectionTimeout(
                told, host=place.ssh.host, port=port, attempts=1, node=place.node
            ) from None
        except RbeeError as error:
            raise _named(error, place) from None
        said = detected(found.out)
        if said is None:
            raise ProgramFailed(
                f"rbee is not installed on {place.node}.",
                program="rbee-hive",
                reason="not installed",
                hint=f"Install it: {place.ssh.install_command}",
            )
        return said.version, _ahead(said.time_unix, time.time())

    async def _by_hive(self, place: UrlHost) -> tuple[NodeInfo, str, float | None]:
        times = self._config.times
        async for key in place.keys():
            async with Client(place.url, key, times.connect_s, times.stream_silence_s) as client:
                try:
                    began = time.time()
                    info = await client.call(ep.HIVE_NODE, within_s=_ASK_WITHIN_S)
                    ahead = _ahead(info.time_unix, (began + time.time()) / 2)
                    health = await client.call(ep.HIVE_HEALTH, within_s=_ASK_WITHIN_S)
                except (ConnectionTimeout, InvalidApiKey) as error:
                    raise _named(error, place) from None
                return info, health.version, ahead
        raise AssertionError("a given site has a key")


def _unusable(status: HiveStatus) -> ProgramFailed:
    """SSH works and the program is right, but not the hive that runs there."""
    return ProgramFailed(
        status.error or f"The hive on {status.node} does not answer.",
        program="rbee-hive",
        reason="it can't be used",
        hint=f"End it, a new one is started: rbee-keeper hive stop --node {status.node}",
    )


def _ahead(there_unix: float | None, here_unix: float) -> float | None:
    return None if there_unix is None else round(there_unix - here_unix, 1)


def _named(error: RbeeError, place: SshHost | UrlHost) -> RbeeError:
    """The same, which names the node: its advice does, too."""
    error.details.setdefault("node", place.node)
    return error
