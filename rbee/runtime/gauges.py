"""Prometheus metrics that a daemon exports about itself."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Gauge(msgspec.Struct, frozen=True):
    """A current value; `labels` tell several of the same name apart."""

    name: str
    help: str
    value: float
    labels: dict[str, str] = {}


def resident_bytes() -> int:
    """The resident memory of this process."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def memory() -> Gauge:
    """The resident memory as a metric; every daemon exports it."""
    return Gauge("rbee_memory_bytes", "Resident memory of the process.", resident_bytes())


def text(gauges: Iterable[Gauge]) -> str:
    """Prometheus' text format."""
    # Late: most daemons are never asked for metrics.
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client import Gauge as Exported

    registry = CollectorRegistry()
    known: dict[str, Exported] = {}
    for gauge in gauges:
        if gauge.name not in known:
            names = sorted(gauge.labels)
            known[gauge.name] = Exported(gauge.name, gauge.help, names, registry=registry)
        exported = known[gauge.name]
        (exported.labels(**gauge.labels) if gauge.labels else exported).set(gauge.value)
    return generate_latest(registry).decode()
