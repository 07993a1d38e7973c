"""The worker's metrics in Prometheus' text format, counted since the worker started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from rbee.contract.workers import WorkerStatus
from rbee.runtime import gauges
from rbee.worker.engine.request import Counts, Request

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

    def token(self, request: Request, now: float) -> None:
        """Observe the time to a request's first token, or between two of its tokens."""
        if request.token_at is None:
            self.first_token_s.observe(now - request.arrived_at)
        else:
            self.token_s.observe(now - request.token_at)

    def ended(self, outcome: Outcome) -> None:
        """Count a request that has ended."""
        self._requests.labels(outcome).inc()

    def collect(self) -> Iterator[Metric]:
        """The values that are only known when they are read. Called by prometheus-client."""
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
            ("rbee_prompt_cache_tokens", "Tokens whose state is in main memory.", counts.saved),
            ("rbee_prompt_cache_bytes", "Memory of those states.", counts.saved_bytes),
            (memory.name, memory.help, memory.value),
        ):
            yield GaugeMetricFamily(name, help_text, value)

    def text(self) -> str:
        """All metrics, as Prometheus reads them."""
        return generate_latest(self._registry).decode()
