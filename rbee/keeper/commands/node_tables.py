"""Nodes and their hives in words and in cells."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from datetime import datetime

from rbee.contract.registry import LOCAL, HiveStatus, NodeAdded, NodeRow, NodeSettings
from rbee.contract.workers import WorkerRow

NODE_HEADS = ("NODE", "HOST", "STATUS", "LAST CONNECTION", "INSTALL PATH", "BACKENDS")
HIVE_HEADS = ("NODE", "STATE", "VERSION", "URL", "BACKENDS", "WORKERS")
WORKER_HEADS = ("WORKER", "MODEL", "STATE", "BACKEND", "SLOTS FREE", "URL")
_UNKNOWN = "-"


def host(node: NodeSettings | NodeRow) -> str:
    """`user@host:port`, as far as it is set; the hive's URL where there is no SSH."""
    if node.ssh_host is None:
        return node.hive_url or _UNKNOWN
    user = f"{node.ssh_user}@" if node.ssh_user else ""
    port = f":{node.ssh_port}" if node.ssh_port else ""
    return f"{user}{node.ssh_host}{port}"


def node_cells(row: NodeRow) -> tuple[str, ...]:
    """As under NODE_HEADS; the time is local."""
    seen = row.last_connected_unix
    return (
        row.node_name,
        host(row),
        row.status,
        "never" if seen is None else f"{datetime.fromtimestamp(seen):%Y-%m-%d %H:%M}",
        row.install_path or _UNKNOWN,
        _backends(row.backends),
    )


def hive_cells(hive: HiveStatus) -> tuple[str, ...]:
    """As under HIVE_HEADS."""
    answers = hive.state in ("running", "draining")
    return (
        hive.node,
        hive.state,
        hive.version or _UNKNOWN,
        hive.url or _UNKNOWN,
        _backends(hive.backends),
        str(len(hive.workers)) if answers else _UNKNOWN,
    )


def worker_cells(worker: WorkerRow) -> tuple[str, ...]:
    """As under WORKER_HEADS."""
    return (
        worker.id,
        worker.model_ref,
        worker.state,
        f"{worker.backend}:{worker.device}",
        f"{worker.slots_available} of {worker.slots_total}",
        worker.url,
    )


def reachable(added: NodeAdded) -> str:
    """What the test of a node has found."""
    name = added.node_name
    if added.installed is None:
        return f"{name} is reachable; rbee is not there yet"
    found = f"{name} is reachable; rbee {added.installed}"
    backends = added.detected.backends if added.detected else []
    return f"{found}, {', '.join(backends)}" if backends else found


def named(rows: Sequence[NodeRow], name_or_host: str) -> str:
    """The node that has this name, else the first at this address, else what was given."""
    names = (LOCAL, *(row.node_name for row in rows))
    if name_or_host in names:
        return name_or_host
    return next((row.node_name for row in rows if name_or_host in _hosts(row)), name_or_host)


def _hosts(row: NodeRow) -> tuple[str | None, str | None]:
    return row.ssh_host, urllib.parse.urlsplit(row.hive_url or "").hostname


def _backends(names: Sequence[str] | None) -> str:
    return ",".join(names or ()) or _UNKNOWN
