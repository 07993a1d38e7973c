"""Work on a node that is no question: a worker to start, a model to fetch. Which node it is, where
none is named, is decided as for tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from rbee.contract.model_ref import ModelRef
from rbee.queen.nodes.hive import Hive
from rbee.runtime.event_queue import EventQueue


class NodeWish(msgspec.Struct, frozen=True, kw_only=True):
    """What the node must have. `to_run`: a worker will run the model there, with its memory; with
    `force`, even if it may not fit. With `explain`, the person is told about every node."""

    model: ModelRef
    node: str | None = None
    backend: str | None = None
    device: int | None = None
    force: bool = False
    to_run: bool = True
    explain: bool = False


class OnNode(Protocol):
    """Does work on the node that is wished for."""

    async def __call__(
        self, wish: NodeWish, events: EventQueue, work: Callable[[Hive], Awaitable[None]]
    ) -> None:
        """Do `work` on the first node that can, and say which that is. Raises what it raises; if
        several were tried, the error of the first."""
