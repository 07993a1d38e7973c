"""The worker's metrics in Prometheus' text format, counted since the worker started."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, TypeAlias

from rbee.contract.workers import WorkerStatus
from rbee.runtime import gauges
from rbee.worker.engine.request import Counts, Request

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

Outcome: TypeAlias = Literal["done", "canceled", "failed", "refused"]

# Seconds: from the first token on a graphics card to that of a long prompt on a small machine.
_FIRST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_NEXT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Histogram:
    """How many values lie below each border. prometheus-client has the same, but takes 10 ms to
    import, which a worker that is never asked for its metrics saves."""

    def __init__(self, name: str, help_text: str, borders: Sequence[float]) -> None:
        self._name, self._help = name, help_text
        self._borders = (*borders, float("inf"))
        self._counts = [0] * len(self._borders)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value. One on a border lies below it."""
        self._counts[bisect.bisect_left(self._borders, value)] += 1
        self._sum += value

    def family(self) -> Metric:
        """As prometheus-client has it."""
        from prometheus_client.core import HistogramMetricFamily
        from prometheus_client.utils import floatToGoString

        named = zip(map(floatToGoString, self._borders), accumulate(self._counts), strict=True)
        return HistogramMetricFamily(self._name, self._help, list(named), self._sum)


class Metrics:
    """`counts` and `status` are called when the metrics are read. The rest is counted as it
    happens."""

    def __init__(self, counts: Callable[[], Counts], status: Callable[[], WorkerStatus]) -> None:
        self._counts = counts
        self._status = status
        self.first_token_s = Histogram(
            "rbee_time_to_first_token_seconds",
            "From the request's arrival to its first token.",
            _FIRST,
        )
        self.token_s = Histogram(
            "rbee_time_per_token_seconds", "Between two tokens of an answer.", _NEXT
        )
        self._outcomes: Counter[Outcome] = Counter()

    def token(self, request: Request, now: float) -> None:
        """Observe the time to a request's first token, or between two of its tokens."""
        if request.token_at is None:
            self.first_token_s.observe(now - request.arrived_at)
        else:
            self.token_s.observe(now - request.token_at)

    def ended(self, outcome: Outcome) -> None:
        """Count a request that has ended."""
        self._outcomes[outcome] += 1

    def collect(self) -> Iterator[Metric]:
        """Every metric. Called by prometheus-client."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        yield self.first_token_s.family()
        yield self.token_s.family()
        requests = CounterMetricFamily(
            "rbee_requests", "Requests that ended, by how.", labels=["outcome"]
        )
        for outcome, ended in self._outcomes.items():
            requests.add_metric([outcome], ended)
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
            ("rbee_prompt_cache_tokens", "Tokens whose state is in main memory.", counts.saved),
            ("rbee_prompt_cache_bytes", "Memory of those states.", counts.saved_bytes),
            (memory.name, memory.help, memory.value),
        ):
            yield GaugeMetricFamily(name, help_text, value)

    def text(self) -> str:
        """All metrics, as Prometheus reads them."""
        # Late: most workers are never asked for metrics.
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry).decode()
