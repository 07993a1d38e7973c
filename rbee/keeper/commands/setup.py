"""`rbee-keeper setup …`: the registry of nodes, and rbee on them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.errors import InvalidRequest, SshConnectionFailed
from rbee.contract.events import Narration
from rbee.contract.registry import LOCAL, AddNode, InstallNode, NodeAdded, NodeNamed, NodeRow
from rbee.keeper.commands.hive import backend_names
from rbee.keeper.commands.runner import (
    message,
    queen_command,
    queen_request,
    request_or_exit,
    run_with_queen,
    screen_of,
)
from rbee.keeper.session.queen import PROGRAM, Queen
from rbee.keeper.session.session import follow, of_the_known_nodes
from rbee.keeper.terminal import confirm
from rbee.runtime.listings import table
from rbee.runtime.screen import Screen

_HEADS = ("NODE", "HOST", "STATUS", "LAST CONNECTION", "INSTALL PATH", "BACKENDS")
_UNKNOWN = "-"
_NAME = "Expected a letter or digit, then letters, digits, . _ or -, at most 63 in all"
_LINE = "Expected no control character, and no - at the beginning"
_EXPECTED = {
    "node_name": _NAME,
    "ssh_key_path": _LINE,
    "git_repo_url": _LINE,
    "install_path": _LINE,
    "api_key_file": _LINE,
    "accept_host_key": "Expected the fingerprint as ssh shows it: SHA256: and 43 characters",
}
_EXPECTED_WORD = f"{_LINE}, and no space"


def add(**flags: object) -> NoReturn:
    """Have a node tested and added; at a terminal, ask about an unknown host key."""
    screen = screen_of(flags)
    request = node_request(flags, screen)
    run_with_queen(lambda queen: _add(queen, screen, request), screen)


def node_request(flags: Mapping[str, object], screen: Screen) -> AddNode:
    """What the flags say of another computer, or the wrong flag, shown before an exit."""

    def make() -> AddNode:
        try:
            request = message(AddNode, {**flags, **_absolute(flags)})
        except InvalidRequest as error:
            raise _in_words(error) from None
        if request.node_name == LOCAL:
            raise InvalidRequest.of("node_name", "name", "Expected another name", LOCAL)
        return request

    return request_or_exit(make, flags, screen)


@queen_command
async def list_nodes(queen: Queen, screen: Screen) -> None:
    """List every node of the registry."""
    rows = (await queen.client.call(ep.QUEEN_NODES)).nodes
    screen.listing(rows, table(_HEADS, [_cells(row) for row in rows]) if rows else "")
    for row in rows:
        if row.status == "unreachable" and row.last_error:
            screen.note(f"[{PROGRAM}] ⚠️ {row.node_name}: {row.last_error}")
    if not rows:
        screen.note(
            "No other computer is known yet. Add one: "
            "rbee-keeper setup add-node --name NAME --ssh-host HOST"
        )


@queen_request(NodeNamed)
async def remove(queen: Queen, screen: Screen, request: NodeNamed) -> None:
    """Remove a node from the registry."""
    with of_the_known_nodes():
        removed = await queen.client.call(ep.QUEEN_REMOVE_NODE, request)
    screen.say(removed.message)  # has the node's name, also when it was asked for by its host


@queen_request(InstallNode)
async def install(queen: Queen, screen: Screen, request: InstallNode) -> None:
    """Install rbee on a node, step by step."""
    await install_on(queen, screen, request)


@queen_request(NodeNamed)
async def wake(queen: Queen, screen: Screen, request: NodeNamed) -> None:
    """Wake a node, and wait until it answers."""
    with of_the_known_nodes():
        await follow(queen, screen, ep.QUEEN_WAKE_NODE, request)
    screen.result(f"{request.node_name} is awake.")


async def install_on(queen: Queen, screen: Screen, request: InstallNode) -> None:
    """Install rbee on a node and say so."""
    await follow(queen, screen, ep.QUEEN_INSTALL, request)
    screen.say(f"rbee is installed on {request.node_name}.")


async def _add(queen: Queen, screen: Screen, request: AddNode) -> None:
    what = "the hive of" if request.ssh_host is None else "SSH to"
    _narrate(screen, "🔌", f"testing {what} {request.node_name} ({_host(request)})")
    try:
        added = await queen.client.call(ep.QUEEN_ADD_NODE, request)
    except SshConnectionFailed as error:
        trusted = await _trusted(screen, error) if request.accept_host_key is None else None
        if trusted is None:
            raise
        accepting = msgspec.structs.replace(request, accept_host_key=trusted)
        added = await queen.client.call(ep.QUEEN_ADD_NODE, accepting)
    _narrate(screen, "✅", _reachable(added))
    screen.say(added.message)


async def _trusted(screen: Screen, error: SshConnectionFailed) -> str | None:
    """The fingerprint if the person trusts it; None if not, or if nobody can be asked."""
    fingerprint, kind = error.details.get("fingerprint"), error.details.get("key_type")
    if fingerprint is None or not confirm.can_ask():
        return None
    screen.note(f"The host key of {error.details['host']} is not known.")
    screen.note(f"{kind} key fingerprint: {fingerprint}")
    return fingerprint if await confirm.ask("Trust it?") else None


def _absolute(flags: Mapping[str, object]) -> dict[str, object]:
    """The files of this machine by their whole path."""
    files = {name: flags[name] for name in ("ssh_key_path", "api_key_file") if flags.get(name)}
    return {name: _path(name, str(value)) for name, value in files.items()}


def _path(name: str, value: str) -> str:
    try:
        return str(Path(value).expanduser().absolute())
    except RuntimeError:  # ~nobody
        raise InvalidRequest.of(name, "path", "Expected a home folder that exists", value) from None


def _in_words(error: InvalidRequest) -> InvalidRequest:
    """The same error without a regular expression."""
    [wrong] = error.details["errors"]
    field, words = wrong["field"], wrong["message"]
    if "regex" in words:
        words = _EXPECTED.get(field, _EXPECTED_WORD)
    return InvalidRequest.of(field, wrong["constraint"], words, wrong["value"])


def _narrate(screen: Screen, emoji: str, text: str) -> None:
    screen.show(Narration(PROGRAM, text, "", emoji))


def _reachable(added: NodeAdded) -> str:
    """What the test of a node has found."""
    name = added.node_name
    if added.installed is None:
        return f"{name} is reachable; rbee is not installed there yet"
    found = f"{name} is reachable; rbee {added.installed}"
    backends = added.detected.backends if added.detected else []
    return f"{found}, {', '.join(backends)}" if backends else found


def _host(node: AddNode | NodeRow) -> str:
    """`user@host:port`, as far as it is set; without SSH, the hive's URL."""
    if node.ssh_host is None:
        return node.hive_url or _UNKNOWN
    user = f"{node.ssh_user}@" if node.ssh_user else ""
    port = f":{node.ssh_port}" if node.ssh_port else ""
    return f"{user}{node.ssh_host}{port}"


def _cells(row: NodeRow) -> tuple[str, ...]:
    """The time is local."""
    seen = row.last_connected_unix
    return (
        row.node_name,
        _host(row),
        row.status,
        "never" if seen is None else f"{datetime.fromtimestamp(seen):%Y-%m-%d %H:%M}",
        row.install_path or _UNKNOWN,
        backend_names(row.backends),
    )
