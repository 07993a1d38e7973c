"""All nodes at once, from memory: nobody is asked."""

from __future__ import annotations

from collections.abc import Iterator

from rbee.contract.overview import NodeOverview
from rbee.contract.workers import NodeWorkerRow
from rbee.queen.nodes.fleet import FleetNode
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.nodes import Nodes
from rbee.runtime.gauges import Gauge


def overview(nodes: Nodes, now: float) -> list[NodeOverview]:
    """Every node, this machine first."""
    known = nodes.fleet.nodes
    return [_of(hive, known.get(hive.node) or FleetNode(hive.node), now) for hive in nodes.hives()]


def gauges(nodes: Nodes, now: float) -> Iterator[Gauge]:
    """The figures of /metrics."""
    about = "Seconds since a node told its facts, which it does when they change."
    for node in nodes.fleet.nodes.values():
        if node.facts is not None:
            name = {"node": node.name}
            yield Gauge("rbee_node_facts_age_seconds", about, now - node.told_at, name)


def _of(hive: Hive, known: FleetNode, now: float) -> NodeOverview:
    state, facts = hive.state, known.facts
    if state != "running":
        error = hive.last_error.message if hive.last_error else known.away
        return NodeOverview(node=hive.node, state=state, error=error)
    workers = [NodeWorkerRow.of(hive.node, worker.row) for worker in known.workers.values()]
    if facts is None:
        return NodeOverview(node=hive.node, state=state, workers=workers)
    return NodeOverview(
        node=hive.node,
        state=state,
        facts_age_s=round(now - known.told_at, 3),
        memory=facts.memory,
        disk_free_bytes=facts.disk_free_bytes,
        models=len(facts.models) + len(facts.bundled),
        workers=workers,
        downloads=facts.downloads,
    )
