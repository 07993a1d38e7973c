"""The errors of a hive, with the node's name that the person knows it by."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rbee.contract.errors import (
    ChecksumMismatch,
    ComputeFailed,
    DiskFull,
    ModelCorrupt,
    ModelNotFound,
    RbeeError,
)
from rbee.contract.registry import LOCAL

# Their advice is a command that has to name the node.
_FIXED_THERE = (ChecksumMismatch, ComputeFailed, DiskFull, ModelCorrupt, ModelNotFound)


def with_node_name(error: RbeeError, node: str, model: str | None = None) -> RbeeError:
    """The hive's error with the name of the node; for a corrupt file also with the model, if that
    can be downloaded again, and for one that can't be computed with the model that can be verified.
    """
    if isinstance(error, ModelCorrupt) and model is not None and model.startswith("hf:"):
        error.details["model"] = model
    if isinstance(error, ComputeFailed) and model is not None:
        error.details["model"] = model
    if isinstance(error, _FIXED_THERE) and node != LOCAL:
        error.details["node"] = node
    elif "node" in error.details:
        known = error.details["node"]
        error.message = error.message.replace(str(known), node)
        error.details["node"] = node
    return error


@contextlib.contextmanager
def named_as(node: str) -> Iterator[None]:
    """What fails in this block has the name of the node."""
    try:
        yield
    except RbeeError as error:
        raise with_node_name(error, node) from None
