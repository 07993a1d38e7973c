"""What helps where a node can't be reached: the commands, whole, as a person types them.

The details may lack anything: they came over the wire.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

_SSH_PORT = 22


def of_ssh(details: Mapping[str, Any]) -> str:
    """Beside `host`, `port` and `reason` it uses, where they are there: `fingerprint` of a host key
    that nobody knows, `changed`, `node`, `user`, `key`, and `agent`: whether the queen has one."""
    host, port = details["host"], details["port"]
    if fingerprint := details.get("fingerprint"):
        compare = f"Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on {host}"
        return f"{compare}; if it is the same, {_accept(details)} {fingerprint}"
    if details.get("changed"):
        place = str(host) if port == _SSH_PORT else f"[{host}]:{port}"
        return (
            f"If you know why, forget the old one: ssh-keygen -R {shlex.quote(place)} "
            "-f ~/.rbee/known_hosts (or ~/.ssh/known_hosts), then add the node again."
        )
    check = f"Check that `{_ssh(details)}` works from this machine."
    if details.get("agent") is False and _is_rejected_key(details):
        return (
            f"{check} The queen has no SSH agent: while she lasts she uses the one that she was "
            "started with. End her with `rbee-keeper daemon stop` and start her again in this "
            "login, or name a key without a passphrase: --ssh-key."
        )
    return check


def of_api_key(details: Mapping[str, Any]) -> str:
    """With `node` it is the key of a hive that somebody started there, else that of the queen;
    `config_path` is the file that may name it."""
    path = details.get("config_path")
    where = f", {path}" if path else ""
    if (node := _text(details, "node")) is None:
        return f"Check `api_key_file` in the section [auth] of your config file{where}."
    host = str(details["host"] or "http://HOST:PORT")
    url = host if "://" in host else f"http://{host}"
    add = ["rbee-keeper", "setup", "add-node", "--name", node, "--hive-url", url]
    return (
        f"The key of the hive on {node} is another one: bring it over (~/.rbee/api_key there). If "
        f"`api_key_file` stands in the section [nodes.{node}] of your config file{where}, name "
        f"the new file there, else add the node again: {shlex.join(add)} --api-key-file FILE"
    )


def of_model_in_use(details: Mapping[str, Any]) -> str:
    """`workers` are those that hold it; one that is just starting has no name yet."""
    workers = details["workers"] if isinstance(details["workers"], list) else []
    named = [str(worker) for worker in workers if " " not in str(worker)]
    wait = "Wait until its worker has been idle for long enough"
    if not named:
        return f"{wait}, then try again; see it with `rbee-keeper worker list`."
    return (
        f"{wait}, or end it, then try again: rbee-keeper worker stop --id {shlex.quote(named[0])}"
    )


def of_fetching_again(model: str, details: Mapping[str, Any]) -> str:
    """For a file that is not what it should be."""
    name = shlex.quote(model) + on_node(details)
    again = f"rbee-keeper models delete {name} && rbee-keeper models download {name}"
    return f"Fetch it again: {again}"


def on_node(details: Mapping[str, Any]) -> str:
    """The flag that a command needs for another node than this machine."""
    node = _text(details, "node")
    return "" if node is None else f" --node {shlex.quote(node)}"


def logs_of(details: Mapping[str, Any]) -> str:
    """The command that shows what a node's programs have logged."""
    return f"rbee-keeper logs --node {shlex.quote(str(details['node']))}"


def _accept(details: Mapping[str, Any]) -> str:
    """Only a person who is just adding the node has the other words of the command at hand."""
    if (node := _text(details, "node")) is None:
        return "say so: --accept-host-key"
    add = ["rbee-keeper", "setup", "add-node", "--name", node, "--ssh-host", str(details["host"])]
    if details["port"] not in (None, _SSH_PORT):
        add += ["--ssh-port", str(details["port"])]
    for flag, name in (("--ssh-user", "user"), ("--ssh-key", "key")):
        if value := _text(details, name):
            add += [flag, value]
    return (
        "add the node again, with its other flags as they were: "
        f"{shlex.join(add)} … --accept-host-key"
    )


def _ssh(details: Mapping[str, Any]) -> str:
    user, key = _text(details, "user"), _text(details, "key")
    words = ["ssh", "-p", str(details["port"]), *(["-i", key] if key else [])]
    host = str(details["host"])
    return shlex.join([*words, f"{user}@{host}" if user else host])


def _is_rejected_key(details: Mapping[str, Any]) -> bool:
    return str(details["reason"]).startswith("the key was rejected")


def _text(details: Mapping[str, Any], name: str) -> str | None:
    value = details.get(name)
    return value if isinstance(value, str) and value else None
