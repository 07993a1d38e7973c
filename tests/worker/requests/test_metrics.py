"""The metrics, as Prometheus reads them, under the names that are promised."""

from __future__ import annotations

import prometheus_client
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from rbee.contract.workers import WorkerStatus
from rbee.worker.engine.request import Counts
from rbee.worker.requests.metrics import Histogram, Metrics

Samples = dict[str, float]

BORDERS = (0.01, 0.5, 1.0, 60.0)


def read(metrics: Metrics) -> Samples:
    """Every value by its name and labels, as Prometheus reads it."""
    return {
        sample.name + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.text())
        for sample in family.samples
    }


def metrics(state: str = "idle", total: int = 4, free: int = 4, **counts: int) -> Metrics:
    status = WorkerStatus(state, total, free)  # type: ignore[arg-type]
    return Metrics(lambda: Counts(**counts), lambda: status)


def families() -> dict[str, Metric]:
    """What is told of nothing at all. When a metric began is the library's own addition."""
    found = text_string_to_metric_families(metrics().text())
    return {family.name: family for family in found if not family.name.endswith("_created")}


def test_the_kinds_are_as_promised() -> None:
    assert {name: family.type for name, family in families().items()} == {
        "rbee_tokens_generated": "counter",
        "rbee_tokens_read": "counter",
        "rbee_tokens_cached": "counter",
        "rbee_requests": "counter",
        "rbee_time_to_first_token_seconds": "histogram",
        "rbee_time_per_token_seconds": "histogram",
        "rbee_slots": "gauge",
        "rbee_slots_busy": "gauge",
        "rbee_kv_cache_tokens": "gauge",
        "rbee_prompt_cache_tokens": "gauge",
        "rbee_prompt_cache_bytes": "gauge",
        "rbee_memory_bytes": "gauge",
    }


def test_each_has_words_of_its_own() -> None:
    words = [family.documentation for family in families().values()]
    assert all(words)
    assert len(set(words)) == len(words)


def test_token_counters_are_the_counts_of_the_engine() -> None:
    found = read(metrics(made=3, read=50, cached=70, held=90))
    assert found["rbee_tokens_generated_total"] == 3
    assert found["rbee_tokens_read_total"] == 50
    assert found["rbee_tokens_cached_total"] == 70
    assert found["rbee_kv_cache_tokens"] == 90


@pytest.mark.parametrize(
    ("state", "free", "busy"), [("idle", 4, 0), ("busy", 1, 3), ("busy", 0, 4), ("loading", 0, 0)]
)
def test_no_slot_is_busy_while_loading(state: str, free: int, busy: int) -> None:
    found = read(metrics(state, 4, free))
    assert (found["rbee_slots"], found["rbee_slots_busy"]) == (4, busy)


def test_requests_are_counted_by_how_they_ended() -> None:
    told = metrics()
    for outcome in ("done", "done", "canceled", "failed", "refused"):
        told.ended(outcome)  # type: ignore[arg-type]
    found = read(told)
    assert found["rbee_requests_total{done}"] == 2
    assert found["rbee_requests_total{canceled}"] == 1
    assert found["rbee_requests_total{failed}"] == 1
    assert found["rbee_requests_total{refused}"] == 1
    assert 'rbee_requests_total{outcome="done"} 2.0' in told.text()


@pytest.mark.parametrize(
    "name", ["rbee_time_to_first_token_seconds", "rbee_time_per_token_seconds"]
)
def test_times_are_in_seconds_with_their_sum(name: str) -> None:
    told = metrics()
    histogram = told.first_token_s if "first" in name else told.token_s
    for seconds in (0.03, 0.3, 300.0):
        histogram.observe(seconds)
    found = read(told)
    assert found[f"{name}_count"] == 3
    assert found[f"{name}_sum"] == pytest.approx(300.33)
    assert found[f"{name}_bucket{{0.025}}"] == 0
    assert found[f"{name}_bucket{{0.05}}"] == 1
    assert found[f"{name}_bucket{{0.5}}"] == 2
    assert found[f"{name}_bucket{{+Inf}}"] == 3


@given(some.lists(some.floats(0, 200) | some.sampled_from(BORDERS)))
def test_a_histogram_counts_as_the_library_does(values: list[float]) -> None:
    registry = CollectorRegistry()
    theirs = prometheus_client.Histogram("h", "Help.", buckets=BORDERS, registry=registry)
    ours = Histogram("h", "Help.", BORDERS)
    for value in values:
        theirs.observe(value)
        ours.observe(value)
    [family] = registry.collect()
    told = [sample for sample in family.samples if sample.name != "h_created"]
    assert [each[:3] for each in ours.family().samples] == [each[:3] for each in told]


def test_the_buckets_reach_from_a_graphics_card_to_a_small_machine() -> None:
    def borders(name: str) -> list[str]:
        return [key[len(name) + 8 : -1] for key in found if key.startswith(f"{name}_bucket")]

    found = read(metrics())
    first = borders("rbee_time_to_first_token_seconds")
    assert (first[0], first[-2], first[-1]) == ("0.01", "120.0", "+Inf")
    following = borders("rbee_time_per_token_seconds")
    assert (following[0], following[-2], following[-1]) == ("0.001", "2.5", "+Inf")


def test_memory_is_that_of_this_process() -> None:
    rss = psutil.Process().memory_info().rss
    assert rss / 2 < read(metrics())["rbee_memory_bytes"] < rss * 2


def test_counters_have_the_value_of_the_moment_they_are_read() -> None:
    counts = Counts()
    told = Metrics(lambda: counts, lambda: WorkerStatus("idle", 4, 4))
    assert read(told)["rbee_tokens_generated_total"] == 0
    counts.made = 7
    assert read(told)["rbee_tokens_generated_total"] == 7


def test_two_workers_in_one_process_do_not_count_for_each_other() -> None:
    one, other = metrics(), metrics()
    one.ended("done")
    assert "rbee_requests_total{done}" not in read(other)
