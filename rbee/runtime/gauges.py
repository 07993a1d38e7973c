"""What a daemon measures of itself, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import psutil


class Gauge(msgspec.Struct, frozen=True):
    """A number of now; `labels` tell several of one name apart."""

    name: str
    help: str
    value: float
    labels: dict[str, str] = {}


def resident_bytes() -> int:
    """The memory that this process really holds."""
    return int(psutil.Process().memory_info().rss)


def memory() -> Gauge:
    """The same, as every daemon tells it."""
    return Gauge("rbee_memory_bytes", "Resident memory of the process.", resident_bytes())


def text(gauges: Iterable[Gauge]) -> str:
    """Prometheus' text format."""
    # Late: most daemons are never asked.
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
