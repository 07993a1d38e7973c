"""Look at every node, whether its hive runs or not: can it be reached, which rbee is there, and
what time is it there. Nothing is started; what is found is noted in the registry."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from rbee.contract.errors import (
    ConnectionRefused,
    ConnectionTimeout,
    Internal,
    ProgramFailed,
    RbeeError,
)
from rbee.contract.registry import HiveStatus, NodeCheck, NodeChecks, NodeRow
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.hosts import Host, Probe, check_hive_version
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.ssh.login import NoAnswerError
from rbee.runtime.log import correlation_id

_log = logging.getLogger("queen-rbee")


class Health:
    """Of the nodes in the registry and the config file."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    async def check_all(self) -> NodeChecks:
        """Check all nodes at the same time."""
        rows = self._nodes.registry.rows()
        return NodeChecks(await asyncio.gather(*(self._check_safely(row) for row in rows)))

    async def _check_safely(self, row: NodeRow) -> NodeCheck:
        """An error of one node does not hide the others."""
        try:
            return await self._check(row)
        except Exception:
            _log.exception("looking at %s failed", row.node_name)
            error = Internal(correlation_id=correlation_id.get())
            return _failed(NodeCheck(node=row.node_name, hive="unreachable"), error)

    async def _check(self, row: NodeRow) -> NodeCheck:
        version = ahead = None
        status = HiveStatus(node=row.node_name, state="unreachable")
        error: RbeeError | None = None
        try:
            hive = self._nodes.hive(row.node_name)
            async with hive.use_host() as host:
                probe = await _probe(host)
                version, ahead = probe.version, probe.clock_ahead_s
                status = await self._status(hive, probe)
                version = status.version or version
                assert version is not None  # or `_probe` has raised
                check_hive_version(host, version)
                if status.state == "unreachable":
                    raise _unusable(status)
        except RbeeError as caught:
            error = caught
        check = NodeCheck(
            node=row.node_name, hive=status.state, version=version, clock_ahead_s=ahead
        )
        return check if error is None else _failed(check, error)

    async def _status(self, hive: Hive, probe: Probe) -> HiveStatus:
        """Of the hive that answered the probe, or else of the one that runs beside the program.
        Raises why that one can't be used."""
        if probe.hive_state is not None:
            return HiveStatus(node=hive.node, state=probe.hive_state)
        status = await self._nodes.status(hive)
        if hive.last_error is not None and not hive.is_running:
            raise hive.last_error
        return status


async def _probe(host: Host) -> Probe:
    """With the node's name in every error, as its advice uses it."""
    try:
        probe = await host.probe()
    except NoAnswerError as error:
        if not error.timed_out and not error.refused:
            raise _with_node(error.as_rbee_error(), host) from None
        kind, hint = ConnectionTimeout, {}
        if error.refused:
            check = error.as_rbee_error().advice
            kind = ConnectionRefused
            hint = {"hint": f"{host.node} is switched on, but nothing listens there. {check}"}
        raise kind(
            f"{host.node} does not answer: {error.reason}.",
            host=error.host,
            port=error.port,
            attempts=1,
            node=host.node,
            **hint,
        ) from None
    except RbeeError as error:
        raise _with_node(error, host) from None
    if probe.version is None:
        raise ProgramFailed(
            f"rbee is not installed on {host.node}.",
            program="rbee-hive",
            reason="not installed",
            hint=f"Install it: {host.install_hint}",
        )
    return probe


def _failed(check: NodeCheck, error: RbeeError) -> NodeCheck:
    return msgspec.structs.replace(
        check, code=error.code, error=error.message, advice=error.advice or None
    )


def _unusable(status: HiveStatus) -> ProgramFailed:
    """SSH works and the program is right, but not the hive that runs there."""
    return ProgramFailed(
        status.error or f"The hive on {status.node} does not answer.",
        program="rbee-hive",
        reason="it can't be used",
        hint=f"Stop it, and a new one is started: rbee-keeper hive stop --node {status.node}",
    )


def _with_node(error: RbeeError, host: Host) -> RbeeError:
    error.details.setdefault("node", host.node)
    return error
