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
    """With `node` it is the key of a hive that somebody started there, else that of the queen; then
    `config_path` is the file that may name it."""
    if (node := _text(details, "node")) is None:
        path = details.get("config_path")
        where = f", {path}" if path else ""
        return f"Check `api_key_file` in the section [auth] of your config file{where}."
    host = str(details["host"] or "http://HOST:PORT")
    url = host if "://" in host else f"http://{host}"
    add = ["rbee-keeper", "setup", "add-node", "--name", node, "--hive-url", url]
    return (
        f"The key of the hive on {node} is another one: bring it over (~/.rbee/api_key there) and "
        f"add the node again: {shlex.join(add)} --api-key-file FILE"
    )


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
