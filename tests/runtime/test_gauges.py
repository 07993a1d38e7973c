"""Numbers as Prometheus reads them, read back by its own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from rbee.runtime import gauges
from rbee.runtime.gauges import Gauge


def read(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("state", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_each_number_stands_under_its_name_and_labels() -> None:
    told = [
        Gauge("rbee_waiting", "Who waits.", 3),
        Gauge("rbee_workers", "Workers.", 2, {"state": "idle"}),
        Gauge("rbee_workers", "Workers.", 0, {"state": "busy"}),
    ]
    assert read(gauges.text(told)) == {
        ("rbee_waiting", ""): 3,
        ("rbee_workers", "idle"): 2,
        ("rbee_workers", "busy"): 0,
    }


def test_memory_is_what_a_running_python_takes_at_least() -> None:
    assert gauges.memory().value > 5_000_000


def test_nothing_to_tell_is_an_empty_text() -> None:
    assert gauges.text([]) == ""
