"""Nodes as people know them."""

from __future__ import annotations

from rbee.contract.errors import (
    ChecksumMismatch,
    DiskFull,
    ModelCorrupt,
    ModelNotFound,
    RbeeError,
)
from rbee.contract.registry import LOCAL

# What is mended by a command that has to say on which node.
_MENDED_THERE = (ChecksumMismatch, DiskFull, ModelCorrupt, ModelNotFound)


def with_node_name(error: RbeeError, node: str, model: str | None = None) -> RbeeError:
    """The hive's error under the name that the person knows the node by. Of a corrupt file also
    which model it is, if it can be fetched again."""
    if isinstance(error, ModelCorrupt) and model is not None and model.startswith("hf:"):
        error.details["model"] = model
    if isinstance(error, _MENDED_THERE) and node != LOCAL:
        error.details["node"] = node
    elif "node" in error.details:
        known = error.details["node"]
        error.message = error.message.replace(str(known), node)
        error.details["node"] = node
    return error
