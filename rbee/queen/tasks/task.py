"""One task and the nodes that may answer it: the one that was named, or all that can, in order."""

from __future__ import annotations

from rbee.contract.errors import (
    BackendUnavailable,
    ConnectionTimeout,
    DiskFull,
    InvalidApiKey,
    LoadingTimeout,
    ModelNotFound,
    PortBlocked,
    ProgramFailed,
    RbeeError,
    SshConnectionFailed,
    VersionMismatch,
    VramExhausted,
)
from rbee.contract.model_ref import ModelRef
from rbee.contract.registry import LOCAL
from rbee.contract.tasks import TaskRequest
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.tasks.attempt import Course
from rbee.queen.tasks.choose_node import choose
from rbee.queen.tasks.queue import Queue
from rbee.queen.tasks.ranking import Verdict
from rbee.runtime.event_queue import Outlet
from rbee.runtime.narration import Narrator

# What one node can't do and another may.
_OTHERS_MAY = (
    BackendUnavailable,
    ConnectionTimeout,
    DiskFull,
    InvalidApiKey,
    LoadingTimeout,
    ModelNotFound,
    PortBlocked,
    ProgramFailed,
    SshConnectionFailed,
    VersionMismatch,
    VramExhausted,
)


class Errand:
    """Runs once, as a task that can be canceled at any point."""

    def __init__(
        self, request_id: str, request: TaskRequest, model: ModelRef, nodes: Nodes, queue: Queue
    ) -> None:
        self.outlet = Outlet()
        self._request_id = request_id
        self._request = request
        self._model = model
        self._nodes = nodes
        self._queue = queue
        self._say = Narrator(self.outlet.tell).say

    async def run(self) -> None:
        """To the last token, on the first node that can. Raises what the first choice raised, where
        none can."""
        first: RbeeError | None = None
        for node in await self._order():
            course = Course(
                self._request_id,
                self._request,
                self._model,
                self._nodes.hive(node),
                self._queue,
                self.outlet,
            )
            if first is not None:
                self._tell(f"{first.message.rstrip('.')}; trying {node}")
            try:
                await course.run()
                return
            except _OTHERS_MAY as error:
                if isinstance(error, InvalidApiKey) and node != LOCAL:
                    error.details.setdefault("node", node)  # it is not the queen's own
                first = first or error
        assert first is not None  # there is always this machine
        raise first

    async def _order(self) -> list[str]:
        if self._request.node is not None:
            return [self._request.node]
        if not self._nodes.registry.rows():
            if self._request.explain:
                self._tell(f"{LOCAL}, the only node there is")
            return [LOCAL]
        verdicts = await choose(self._nodes, self._request, self._model)
        able = [verdict for verdict in verdicts if verdict.can]
        if self._request.explain:
            for verdict in verdicts:
                self._tell(_told(verdict))
        if not able:
            return [LOCAL]
        self._tell(f"{able[0].node}, since {', '.join(able[0].reasons)}")
        return [verdict.node for verdict in able]

    def _tell(self, text: str) -> None:
        self._say("queen-rbee", "🧭", f"placement: {text}")


def _told(verdict: Verdict) -> str:
    can = "can" if verdict.can else "can't"
    return f"{verdict.node} {can}: {', '.join(verdict.reasons)}"
