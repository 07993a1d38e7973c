"""Prometheus metrics that a daemon exports about itself."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

import msgspec

from rbee.runtime import kernel

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


class Gauge(msgspec.Struct, frozen=True):
    """A current value; `labels` tell several of the same name apart. A counter only grows, and its
    name is exported with `_total` at its end."""

    name: str
    help: str
    value: float
    labels: dict[str, str] = {}
    kind: Literal["gauge", "counter"] = "gauge"


class Histogram(msgspec.Struct, frozen=True):
    """How often values came: `counts` by the upper bound of each bucket, in ascending order, the
    last of which is infinite. `total` is the sum of all values."""

    name: str
    help: str
    counts: dict[float, int]
    total: float


def resident_bytes() -> int:
    """The resident memory of this process."""
    return kernel.resident_bytes(os.getpid())


def memory() -> Gauge:
    """The resident memory as a metric; every daemon exports it."""
    return Gauge("rbee_memory_bytes", "Resident memory of the process.", resident_bytes())


def text(gauges: Iterable[Gauge | Histogram]) -> str:
    """Prometheus' text format."""
    # Late: most daemons are never asked for metrics.
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )
    from prometheus_client.utils import floatToGoString

    kinds = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}
    families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    histograms = []
    for gauge in gauges:
        if isinstance(gauge, Histogram):
            bounds = map(floatToGoString, gauge.counts)
            buckets = list(zip(bounds, accumulate(gauge.counts.values()), strict=True))
            histograms.append(HistogramMetricFamily(gauge.name, gauge.help, buckets, gauge.total))
            continue
        names = sorted(gauge.labels)
        if gauge.name not in families:
            families[gauge.name] = kinds[gauge.kind](gauge.name, gauge.help, labels=names)
        families[gauge.name].add_metric([gauge.labels[name] for name in names], gauge.value)
    registry = CollectorRegistry()
    registry.register(_Families([*families.values(), *histograms]))
    return generate_latest(registry).decode()


class _Families:
    """What prometheus-client calls a collector."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
