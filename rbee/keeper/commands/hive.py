"""`rbee-keeper hive start|stop|status`: the hives, one on each node."""

from __future__ import annotations

from collections.abc import Sequence

from rbee.contract import endpoints as ep
from rbee.contract.errors import ConnectionRefused, ConnectionTimeout, NodeNotFound, ProgramFailed
from rbee.contract.registry import HiveNode, HiveStatus
from rbee.keeper.commands.runner import queen_command, queen_request
from rbee.keeper.session.queen import PROGRAM, Queen
from rbee.keeper.session.session import call_for, follow, of_the_known_nodes
from rbee.runtime.client import address
from rbee.runtime.listings import table
from rbee.runtime.screen import Screen

_HIVE = "rbee-hive"
_HEADS = ("NODE", "STATE", "VERSION", "URL", "BACKENDS", "WORKERS")
_UNKNOWN = "-"
_NOT_RUNNING = 1


@queen_request(HiveNode)
async def start(queen: Queen, screen: Screen, request: HiveNode) -> None:
    """Start a node's hive; once it runs, the queen is kept."""
    hive = await started(queen, screen, request.node)
    await queen.client.call(ep.QUEEN_KEEP)
    screen.say(f"{_HIVE} runs on {hive.node}: {hive.url}")


@queen_request(HiveNode)
async def stop(queen: Queen, screen: Screen, request: HiveNode) -> None:
    """End a node's hive and its workers. Raises PROGRAM_FAILED when it does not end, and
    CONNECTION_TIMEOUT when it is not known whether one runs."""
    with of_the_known_nodes():
        hive = await status_of(queen, request.node)
    if hive.state == "stopped":
        screen.say(f"No hive runs on {hive.node}.")
        return
    # Also when it does not answer: the queen can end one that it started and that hangs.
    await follow(queen, screen, ep.QUEEN_HIVE_STOP, request)
    now = await status_of(queen, request.node)
    if now.state == "unreachable" and not _has_left(hive, now):
        raise _out_of_reach(now)
    ran = hive.state in ("running", "draining")
    screen.say(f"The hive on {now.node} has ended." if ran else f"No hive runs on {now.node}.")
    if now.state not in ("stopped", "unreachable"):
        screen.note(f"Requests that wait have started another one: {now.url}")


@queen_command
async def status(queen: Queen, screen: Screen, node: str | None) -> int:
    """Show every node's hive, or one node's; then 1 unless it runs."""
    return show(screen, await statuses(queen, node), of_one=node is not None)


async def started(queen: Queen, screen: Screen, node: str) -> HiveStatus:
    """Start the hive of a node. Raises PROGRAM_FAILED unless it runs."""
    await follow(queen, screen, ep.QUEEN_HIVE_START, HiveNode(node))
    hive = await status_of(queen, node)
    if hive.state != "running":
        raise ProgramFailed(program=_HIVE, reason=hive.error or f"it is {hive.state}")
    return hive


async def status_of(queen: Queen, node: str) -> HiveStatus:
    """The hive of one node. Raises NODE_NOT_FOUND."""
    found = await statuses(queen, node)
    if not found:
        raise NodeNotFound(node=node)
    return found[0]


async def statuses(queen: Queen, node: str | None) -> list[HiveStatus]:
    """The hive of `node`, or those of all nodes. Raises NODE_NOT_FOUND."""
    return (await call_for(queen, ep.QUEEN_HIVES, node)).hives


def show(screen: Screen, hives: list[HiveStatus], of_one: bool) -> int:
    """Show them; returns the exit code."""
    screen.listing(hives, table(_HEADS, [_cells(hive) for hive in hives]))
    for hive in hives:
        if hive.error:
            screen.note(f"[{PROGRAM}] ⚠️ {hive.node}: {hive.error}")
    all_run = all(hive.state == "running" for hive in hives)
    return 0 if all_run or not of_one else _NOT_RUNNING


def backend_names(backends: Sequence[str] | None) -> str:
    """As a cell of a table."""
    return ",".join(backends or ()) or _UNKNOWN


def _cells(hive: HiveStatus) -> tuple[str, ...]:
    answers = hive.state in ("running", "draining")
    return (
        hive.node,
        hive.state,
        hive.version or _UNKNOWN,
        hive.url or _UNKNOWN,
        backend_names(hive.backends),
        str(len(hive.workers)) if answers else _UNKNOWN,
    )


def _has_left(before: HiveStatus, now: HiveStatus) -> bool:
    """Whether nothing listens any more at its address: without SSH, no more can be known."""
    if before.url is None:
        return False
    host, port = address(before.url)
    return (now.error or "").endswith(f" at {host}:{port}: refused.")


def _out_of_reach(hive: HiveStatus) -> ConnectionTimeout:
    node, reason = hive.node, hive.error or "it does not answer."
    text = f"It is not known whether a hive runs on {node}: {reason}"
    kind = ConnectionRefused if reason.endswith(": refused.") else ConnectionTimeout
    return kind(text, host=node, port=None, attempts=1, node=node)
