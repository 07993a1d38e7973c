"""The worker's metrics in Prometheus' text format, counted since the worker started."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, TypeAlias

from rbee.contract.workers import WorkerStatus
from rbee.runtime import gauges
from rbee.worker.engine.engine import Counts
from rbee.worker.engine.request import Request

if TYPE_CHECKING:
    from prometheus_client import Metric

Outcome: TypeAlias = Literal["done", "canceled", "failed", "refused"]

# Seconds: from the first token on a graphics card to that of a long prompt on a small machine.
_FIRST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_NEXT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """`counts` and `status` are called when the metrics are read. The rest is counted as it
    happens."""

    def __init__(self, counts: Callable[[], Counts], status: Callable[[], WorkerStatus]) -> None:
        self._counts = counts
        self._status = status
        self.first_token_s = Histogram(_FIRST)
        self.token_s = Histogram(_NEXT)
        self._ended: Counter[Outcome] = Counter()

    def token(self, request: Request, now: float) -> None:
        """Observe the time to a request's first token, or between two of its tokens."""
        if request.token_at is None:
            self.first_token_s.observe(now - request.arrived_at)
        else:
            self.token_s.observe(now - request.token_at)

    def ended(self, outcome: Outcome) -> None:
        """Count a request that has ended."""
        self._ended[outcome] += 1

    def text(self) -> str:
        """All metrics, as Prometheus reads them."""
        # Late: most workers are never asked for metrics.
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry).decode()

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus-client."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        for name, help_text, histogram in (
            (
                "rbee_time_to_first_token_seconds",
                "From the request's arrival to its first token.",
                self.first_token_s,
            ),
            ("rbee_time_per_token_seconds", "Between two tokens of an answer.", self.token_s),
        ):
            yield HistogramMetricFamily(name, help_text, histogram.buckets(), histogram.sum)
        requests = CounterMetricFamily(
            "rbee_requests", "Requests that ended, by how.", labels=["outcome"]
        )
        for outcome, count in self._ended.items():
            requests.add_metric([outcome], count)
        yield requests
        counts, status = self._counts(), self._status()
        for name, help_text, tokens in (
            ("generated", "Tokens made.", counts.made),
            ("read", "Tokens of prompts computed.", counts.read),
            ("cached", "Tokens of prompts found in the KV cache.", counts.cached),
        ):
            yield CounterMetricFamily(f"rbee_tokens_{name}", help_text, tokens)
        busy = status.slots_total - status.slots_available if status.state != "loading" else 0
        memory = gauges.memory()
        for name, help_text, value in (
            ("rbee_slots", "Requests that can run at once.", status.slots_total),
            ("rbee_slots_busy", "Requests that run now.", busy),
            ("rbee_kv_cache_tokens", "Tokens that the KV cache holds.", counts.held),
            (memory.name, memory.help, memory.value),
        ):
            yield GaugeMetricFamily(name, help_text, value)


class Histogram:
    """Counts observations, in seconds, by the first of the bounds that is not below them."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """As in Prometheus: up to each bound, how many observations in all."""
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        return [*zip(names, accumulate(self._counts), strict=True)]
