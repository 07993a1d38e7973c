"""Which names complete what was typed, and what is said beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rbee.contract.config import Config
from rbee.contract.model_ref import ALIASES, DEFAULT
from rbee.contract.registry import LOCAL

Known = Mapping[str, str]


def of_config(kind: str, config: Config) -> Known:
    """What is known without a queen."""
    if kind == "nodes":
        return {LOCAL: "this machine", **{name: _host(node) for name, node in config.nodes.items()}}
    if kind == "models":
        return {DEFAULT: "bundled", **ALIASES, **config.models.aliases}
    return {}


def of_queen(kind: str, answer: Mapping[str, Any]) -> Known:
    """What her listing says."""
    rows: Sequence[Mapping[str, Any]] = answer[kind]
    if kind == "nodes":
        return {row["node_name"]: row["status"] for row in rows}
    if kind == "models":
        return {row["reference"]: row["state"] for row in rows}
    return {row["worker_id"]: f"{row['model_ref']} on {row['node']}" for row in rows}


def matching(known: Known, typed: str) -> list[tuple[str, str]]:
    """Those that begin so, by name. What a name is beside stays on one line."""
    return [(name, known[name]) for name in sorted(known) if name.startswith(typed)]


def _host(node: Any) -> str:
    return str(node.ssh_host or node.hive_url)
