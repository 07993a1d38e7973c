"""What /metrics tells, in Prometheus' text format: counted since the worker started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from rbee.contract.workers import WorkerStatus
from rbee.runtime import gauges
from rbee.worker.engine.engine import Counts

Outcome: TypeAlias = Literal["done", "canceled", "failed", "refused"]

# Seconds. From a graphics card's first token to a long prompt's on a small machine.
_FIRST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_NEXT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """`counts` and `status` are asked when somebody looks; the rest is told as it happens."""

    def __init__(self, counts: Callable[[], Counts], status: Callable[[], WorkerStatus]) -> None:
        self._counts = counts
        self._status = status
        self._registry = CollectorRegistry()
        self.first_token_s = Histogram(
            "rbee_time_to_first_token_seconds",
            "From the request's arrival to its first token.",
            buckets=_FIRST,
            registry=self._registry,
        )
        self.token_s = Histogram(
            "rbee_time_per_token_seconds",
            "Between two tokens of an answer.",
            buckets=_NEXT,
            registry=self._registry,
        )
        self._requests = Counter(
            "rbee_requests", "Requests that ended, by how.", ["outcome"], registry=self._registry
        )
        self._registry.register(self)

    def ended(self, outcome: Outcome) -> None:
        """A request has ended."""
        self._requests.labels(outcome).inc()

    def collect(self) -> Iterator[Metric]:
        """What is only known when it is asked for. Called by prometheus-client."""
        counts, status = self._counts(), self._status()
        for name, words, tokens in (
            ("generated", "Tokens made.", counts.made),
            ("read", "Tokens of prompts computed.", counts.read),
            ("cached", "Tokens of prompts found in the KV cache.", counts.cached),
        ):
            yield CounterMetricFamily(f"rbee_tokens_{name}", words, tokens)
        busy = status.slots_total - status.slots_available if status.state != "loading" else 0
        memory = gauges.memory()
        for name, words, value in (
            ("rbee_slots", "Requests that can run at once.", status.slots_total),
            ("rbee_slots_busy", "Requests that run now.", busy),
            ("rbee_kv_cache_tokens", "Tokens that the KV cache holds.", counts.held),
            (memory.name, memory.help, memory.value),
        ):
            yield GaugeMetricFamily(name, words, value)

    def text(self) -> str:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry).decode()
