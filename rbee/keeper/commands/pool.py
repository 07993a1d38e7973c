"""`rbee-keeper pool …`: older names, which also take a node's address instead of its name."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence

from rbee.contract import endpoints as ep
from rbee.contract.registry import LOCAL, InstallNode, NodeRow
from rbee.contract.workers import WorkerRow
from rbee.keeper.commands import hive, model_list, setup
from rbee.keeper.commands.runner import queen_command
from rbee.keeper.session.queen import Queen
from rbee.runtime.listings import table
from rbee.runtime.screen import Screen

_HEADS = ("WORKER", "MODEL", "STATE", "BACKEND", "SLOTS FREE", "URL")


@queen_command
async def health(queen: Queen, screen: Screen, host: str) -> int:
    """The same as `hive status --node`."""
    return hive.show(screen, await hive.statuses(queen, await _node(queen, host)), of_one=True)


@queen_command
async def list_models(queen: Queen, screen: Screen, host: str) -> None:
    """The same as `models list --node`."""
    await model_list.show_models(queen, screen, await _node(queen, host))


@queen_command
async def list_workers(queen: Queen, screen: Screen, host: str) -> None:
    """List the workers of a node."""
    found = await hive.status_of(queen, await _node(queen, host))
    rows = [_cells(row) for row in found.workers]
    screen.listing(found.workers, table(_HEADS, rows) if rows else "")
    if not rows:
        screen.note(f"No worker runs on {found.node}: its hive is {found.state}.")


@queen_command
async def git(queen: Queen, screen: Screen, host: str) -> None:
    """The same as `setup install --node`."""
    request = InstallNode(node_name=await _node(queen, host))
    await setup.install_on(queen, screen, request)


async def _node(queen: Queen, host: str) -> str:
    return node_named((await queen.client.call(ep.QUEEN_NODES)).nodes, host)


def node_named(rows: Sequence[NodeRow], name_or_host: str) -> str:
    """The node with this name, else the first at this address, else what was given."""
    names = (LOCAL, *(row.node_name for row in rows))
    if name_or_host in names:
        return name_or_host
    return next((row.node_name for row in rows if name_or_host in _hosts(row)), name_or_host)


def _hosts(row: NodeRow) -> tuple[str | None, str | None]:
    return row.ssh_host, urllib.parse.urlsplit(row.hive_url or "").hostname


def _cells(worker: WorkerRow) -> tuple[str, ...]:
    return (
        worker.id,
        worker.model_ref,
        worker.state,
        f"{worker.backend}:{worker.device}",
        f"{worker.slots_available} of {worker.slots_total}",
        worker.url,
    )
