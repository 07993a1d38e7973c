"""Nodes and their hives: `setup …`, `config …`, `hive …`, and `pool …`, their older names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from rbee.contract.errors import InvalidRequest
from rbee.contract.registry import LOCAL, AddNode, HiveNode, InstallNode, NodeNamed
from rbee.keeper.app.running import WRONG_USAGE, Asking, ask, message, run
from rbee.runtime.screen import Screen

M = TypeVar("M")

_NAME = "Expected letters, digits, . _ and - behind a letter or digit, 63 in all at most"
_LINE = "Expected no control character, and no - as the first"
_WORD = f"{_LINE}, and no space"
_EXPECTED = {
    "node_name": _NAME,
    "ssh_key_path": _LINE,
    "git_repo_url": _LINE,
    "install_path": _LINE,
    "api_key_file": _LINE,
    "accept_host_key": "Expected the fingerprint as ssh shows it: SHA256: and 43 characters",
}
# What the flags are called where they are not called as the message's fields.
_ADD = {"node_name": "--name", "ssh_key_path": "--ssh-key", "git_repo_url": "--git-repo"}
_SET = {
    "node_name": "--node",
    "ssh_host": "--host",
    "ssh_user": "--user",
    "ssh_key_path": "--key",
    "ssh_port": "--port",
}


def setup(action: str, fields: dict[str, object], screen: Screen) -> int:
    """`rbee-keeper setup add-node|list-nodes|remove-node|install`."""
    from rbee.keeper.commands import setup as commands

    if action == "list-nodes":
        return run(commands.listing, screen)
    if action == "remove-node":
        return ask(commands.remove, NodeNamed, fields, screen)
    if action == "install":
        return ask(commands.install, InstallNode, fields, screen)
    return _ask_checked(commands.add, fields, screen, _ADD)


def config(action: str, fields: dict[str, object], screen: Screen) -> int:
    """`rbee-keeper config set-ssh|list-nodes|remove-node|show`."""
    from rbee.keeper.commands import config as commands
    from rbee.keeper.commands import setup as registry

    if action == "list-nodes":
        return run(registry.listing, screen)
    if action == "show":
        return run(commands.show, screen)
    named = {"node_name" if name == "node" else name: value for name, value in fields.items()}
    if action == "remove-node":
        return ask(commands.remove, NodeNamed, named, screen)
    return _ask_checked(commands.set_ssh, named, screen, _SET)


def hive(action: str, fields: dict[str, object], screen: Screen) -> int:
    """`rbee-keeper hive start|stop|status`."""
    from rbee.keeper.commands import hive as commands

    if action == "status":
        node = None if fields["node"] is None else str(fields["node"])
        return run(lambda settings, shown: commands.status(settings, shown, node), screen)
    actions = {"start": commands.start, "stop": commands.stop}
    return ask(actions[action], HiveNode, fields, screen)


def pool(action: str, host: str, screen: Screen) -> int:
    """`rbee-keeper pool health|status|models|worker|git`."""
    from rbee.keeper.commands import pool as commands

    actions = {
        "health": commands.health,
        "status": commands.health,
        "models": commands.listing,
        "worker": commands.worker,
        "git": commands.git,
    }
    return run(lambda settings, shown: actions[action](settings, shown, host), screen)


def _ask_checked(
    command: Asking[AddNode], fields: Mapping[str, object], screen: Screen, flags: Mapping[str, str]
) -> int:
    """Run `command` with what was said of a node, or say which flag is wrong, and how."""
    try:
        asked = message(AddNode, {**fields, **_absolute(fields)})
        if asked.node_name == LOCAL:
            raise InvalidRequest.of("node_name", "name", "Expected another name", LOCAL)
    except InvalidRequest as error:
        screen.error(_of_flag(error, flags))
        return WRONG_USAGE
    return run(lambda settings, shown: command(settings, shown, asked), screen)


def _absolute(fields: Mapping[str, object]) -> dict[str, object]:
    """The files of this machine as they are called from anywhere on it."""
    names = ("ssh_key_path", "api_key_file")
    given = {name: fields[name] for name in names if fields.get(name)}
    return {name: _path(name, str(value)) for name, value in given.items()}


def _path(name: str, value: str) -> str:
    try:
        return str(Path(value).expanduser().absolute())
    except RuntimeError:  # ~nobody
        raise InvalidRequest.of(
            name, "path", "Expected a home folder that there is", value
        ) from None


def _of_flag(error: InvalidRequest, flags: Mapping[str, str]) -> InvalidRequest:
    [wrong] = error.details["errors"]
    field, words = wrong["field"], wrong["message"]
    if "regex" in words:
        words = _EXPECTED.get(field, _WORD)
    flag = flags.get(field, "--" + field.replace("_", "-"))
    return InvalidRequest.of(flag, wrong["constraint"], words, wrong["value"])
