"""`rbee-keeper setup …`: the registry of nodes, and rbee on them."""

from __future__ import annotations

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.errors import SshConnectionFailed
from rbee.contract.events import Narration
from rbee.contract.registry import AddNode, InstallNode, NodeAdded, NodeNamed, NodeRow
from rbee.keeper.commands.node_tables import NODE_HEADS, host, node_cells, reachable
from rbee.keeper.session.queen import PROGRAM, Queen
from rbee.keeper.session.session import follow, with_queen
from rbee.keeper.settings import KeeperSettings
from rbee.keeper.terminal import confirm as question
from rbee.runtime.listings import table
from rbee.runtime.screen import Screen

# SSH's own limit, and then the node is asked for its hardware.
_TESTED_WITHIN_S = 120.0


async def add(settings: KeeperSettings, screen: Screen, asked: AddNode) -> int:
    """Have a node tested and kept; an unknown host key is asked for at a terminal."""

    async def work(queen: Queen) -> None:
        what = "the hive of" if asked.ssh_host is None else "SSH to"
        screen.show(_said("🔌", f"testing {what} {asked.node_name} ({host(asked)})"))
        try:
            added = await _add(queen, asked)
        except SshConnectionFailed as error:
            trusted = await _trusted(screen, error) if asked.accept_host_key is None else None
            if trusted is None:
                raise
            accepting = msgspec.structs.replace(asked, accept_host_key=trusted)
            added = await _add(queen, accepting)
        screen.show(_said("✅", reachable(added)))
        screen.say(added.message)

    return await with_queen(settings, screen, work)


async def listing(settings: KeeperSettings, screen: Screen) -> int:
    """Every node of the registry."""

    async def work(queen: Queen) -> None:
        rows = (await queen.client.call(ep.QUEEN_NODES)).nodes
        screen.answer(rows, table(NODE_HEADS, [node_cells(row) for row in rows]) if rows else "")
        for row in rows:
            _tell_trouble(screen, row)
        if not rows:
            screen.note(
                "No other computer is known yet. Add one: "
                "rbee-keeper setup add-node --name NAME --ssh-host HOST"
            )

    return await with_queen(settings, screen, work)


async def remove(settings: KeeperSettings, screen: Screen, asked: NodeNamed) -> int:
    """Forget a node."""

    async def work(queen: Queen) -> None:
        removed = await queen.client.call(ep.QUEEN_REMOVE_NODE, asked)
        screen.say(removed.message)  # names the node, where it was asked for by its host

    return await with_queen(settings, screen, work)


async def install(settings: KeeperSettings, screen: Screen, asked: InstallNode) -> int:
    """Bring rbee to a node, told step by step."""

    async def work(queen: Queen) -> None:
        await follow(queen, screen, ep.QUEEN_INSTALL, asked)
        screen.say(f"rbee is installed on {asked.node_name}.")

    return await with_queen(settings, screen, work)


def _tell_trouble(screen: Screen, row: NodeRow) -> None:
    """Why a node can't be reached, where it can't."""
    if row.status == "unreachable" and row.last_error:
        screen.note(f"[{PROGRAM}] ⚠️ {row.node_name}: {row.last_error}")


async def _add(queen: Queen, asked: AddNode) -> NodeAdded:
    return await queen.client.call(ep.QUEEN_ADD_NODE, asked, within_s=_TESTED_WITHIN_S)


async def _trusted(screen: Screen, error: SshConnectionFailed) -> str | None:
    """The fingerprint that the person trusts; None where it is none, or nobody is there to ask."""
    fingerprint, kind = error.details.get("fingerprint"), error.details.get("key_type")
    if fingerprint is None or not question.can_ask():
        return None
    screen.note(f"The host key of {error.details['host']} is not known.")
    screen.note(f"{kind} key fingerprint: {fingerprint}")
    return fingerprint if await question.confirm("Trust it?") else None


def _said(emoji: str, text: str) -> Narration:
    return Narration(PROGRAM, text, "", emoji)
