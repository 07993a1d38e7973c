"""Which node gets a task that names none: every hive that runs is asked, then they are ranked."""

from __future__ import annotations

import asyncio
import contextlib

from rbee.contract import endpoints as ep
from rbee.contract.errors import RbeeError
from rbee.contract.model_ref import ModelRef
from rbee.contract.models import ModelName
from rbee.contract.registry import LOCAL
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.tasks.placement import Candidate, Verdict, rank_nodes
from rbee.queen.tasks.task import Task

_DISCOVER_WITHIN_S = 1.0


async def choose_node(nodes: Nodes, task: Task, ask_within_s: float = 2.0) -> list[Verdict]:
    """The nodes in the order in which they are to be tried, with reasons; those that can't last.

    Only hives that run are asked, and none for longer than `ask_within_s` seconds.
    """
    await nodes.discover(_DISCOVER_WITHIN_S, wait_for_unreachable=False)
    known = (_known(nodes, hive, task.model, ask_within_s) for hive in nodes.hives())
    candidates = await asyncio.gather(*known)
    return rank_nodes(candidates, str(task.model), task.request.backend, task.request.device)


async def _known(nodes: Nodes, hive: Hive, model: ModelRef, ask_within_s: float) -> Candidate:
    away, backends = None, None
    if hive.node != LOCAL:
        row = nodes.registry.find(hive.node)
        backends = row.backends
        if row.status == "unreachable":
            away = row.last_error or "unreachable"
    if hive.is_running:
        with contextlib.suppress(RbeeError, TimeoutError):
            async with asyncio.timeout(ask_within_s):
                return await _asked(hive, model)
    return Candidate(node=hive.node, is_up=False, away=away, backends=backends)


async def _asked(hive: Hive, model: ModelRef) -> Candidate:
    info, rows = await asyncio.gather(hive.http.call(ep.HIVE_NODE), hive.workers())
    reference, required, lacks = None, None, False
    try:
        known = await hive.http.call(ep.HIVE_RESOLVE, ModelName(str(model)))
        reference = known.reference
        if reference is not None:
            details = await hive.http.call(ep.HIVE_MODEL_INFO, ModelName(reference))
            required = details.required_bytes
    except RbeeError:
        lacks = model.scheme != "hf"
    free: dict[str, int] = {}
    for device in info.memory:
        free[device.backend] = max(free.get(device.backend, 0), device.memory_free_bytes)
    return Candidate(
        node=hive.node,
        is_up=True,
        lacks=lacks,
        backends=info.backends,
        workers=rows,
        model_ref=reference,
        free_bytes=free,
        required_bytes=required,
    )
