"""What goes wrong on the way to another machine."""

from __future__ import annotations

import shlex

from rbee.contract import advice
from rbee.contract.envelope import RbeeError


class NodeNotFound(RbeeError):
    code, status, keys = "NODE_NOT_FOUND", 404, ("node",)
    says = "There is no node named {node!r}."

    @property
    def advice(self) -> str:
        node = shlex.quote(str(self.details["node"]))
        add = f"rbee-keeper setup add-node --name {node} --ssh-host HOST --ssh-user USER"
        return f"Add it: {add}; those there are: rbee-keeper setup list-nodes"


class SshConnectionFailed(RbeeError):
    code, status, keys = "SSH_CONNECTION_FAILED", 502, ("host", "port", "reason")
    says = "SSH to {host}:{port} failed: {reason}."

    @property
    def advice(self) -> str:
        return advice.of_ssh(self.details)


class ConnectionTimeout(RbeeError):
    code, status, keys = "CONNECTION_TIMEOUT", 503, ("host", "port", "attempts")
    says = "Nothing answers at {host}:{port} after {attempts} attempts."

    @property
    def advice(self) -> str:
        if node := self.details.get("node"):
            return (
                f"Check that {node} is switched on, and that sshd, or a hive that was started "
                "there by hand, can be reached from this machine; then look again: "
                f"rbee-keeper hive status --node {shlex.quote(str(node))}"
            )
        return (
            "Check that the program runs there, and that the address is the one you mean: "
            "rbee-keeper config show"
        )


class VersionMismatch(RbeeError):
    code, status = "VERSION_MISMATCH", 409
    keys = ("program", "version", "other_program", "other_version")
    says = "{program} is {version}, but {other_program} is {other_version}."

    @property
    def advice(self) -> str:
        if isinstance(hint := self.details.get("hint"), str):
            return hint
        newest = max(self.details["version"] or "", self.details["other_version"] or "", key=_parts)
        return f"Line them up, on the older side: pip install 'rbee=={newest}'"


def _parts(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


class PortBlocked(RbeeError):
    code, status, keys = "PORT_BLOCKED", 502, ("host", "port")
    says = "The hive on {host} runs, but its port {port} can't be reached."
    advises = (
        "Open port {port} on {host}, or go through SSH: set `tunnel = true` for the node in your "
        "config file, or add it again with --tunnel (rbee-keeper setup add-node --help)."
    )
