"""The routes: each once, and only health is open."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from rbee.contract import endpoints as ep
from rbee.contract import gateway_endpoints
from rbee.contract.events import NAMES

PROGRAMS = ("QUEEN", "HIVE", "WORKER")
EVERYWHERE = [ep.SHUTDOWN, ep.METRICS, ep.PROOF]
ALL = {
    name: found
    for name, found in {**vars(ep), **vars(gateway_endpoints)}.items()
    if isinstance(found, ep.Endpoint)
}


def of(program: str) -> list[ep.Endpoint[Any, Any]]:
    return [*EVERYWHERE, *(found for name, found in ALL.items() if name.startswith(program + "_"))]


def test_every_route_belongs_to_a_program() -> None:
    own = sum(len(of(program)) - len(EVERYWHERE) for program in PROGRAMS)
    assert own + len(EVERYWHERE) == len(ALL)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_has_a_method_and_path_only_once(program: str) -> None:
    places = Counter((route.method, re.sub(r"\{\w+\}", "{}", route.path)) for route in of(program))
    assert max(places.values()) == 1


def test_only_health_and_the_proof_of_the_key_are_open() -> None:
    assert not ep.HIVE_HEALTH.open
    assert {(route.method, route.path) for route in ALL.values() if route.open} == {
        ("GET", "/health"),
        ("GET", "/v1/health"),
        ("GET", "/v1/auth/proof"),
    }


@pytest.mark.parametrize("name", ALL)
def test_a_stream_names_events_that_there_are_and_mostly_has_no_reply(name: str) -> None:
    """Only what a hive takes its time for, and what can be watched, is answered either way."""
    route = ALL[name]
    assert all(kind in NAMES for kind in route.events)
    if route.events and name not in ("HIVE_SPAWN", "HIVE_DOWNLOAD", "QUEEN_OVERVIEW"):
        assert route.reply is ep.Nothing


@pytest.mark.parametrize("name", ALL)
def test_a_route_without_a_reply_answers_with_events_or_204(name: str) -> None:
    route = ALL[name]
    if route.reply is ep.Nothing:
        assert route.events or route.status == 204


@pytest.mark.parametrize(
    ("method", "path", "program"),
    [
        ("GET", "/health", "QUEEN"),
        ("POST", "/v2/tasks", "QUEEN"),
        ("DELETE", "/v2/tasks/{request_id}", "QUEEN"),
        ("GET", "/v1/health", "HIVE"),
        ("POST", "/v1/workers/spawn", "HIVE"),
        ("POST", "/v1/workers/ready", "HIVE"),
        ("GET", "/v1/models", "HIVE"),
        ("POST", "/v1/models/download", "HIVE"),
        ("GET", "/v1/models/download/progress", "HIVE"),
        ("POST", "/v1/models/info", "HIVE"),
        ("POST", "/v1/models/verify", "HIVE"),
        ("POST", "/v1/models/delete", "HIVE"),
        ("GET", "/v2/models", "QUEEN"),
        ("POST", "/v2/models/download", "QUEEN"),
        ("POST", "/v2/models/info", "QUEEN"),
        ("POST", "/v2/models/verify", "QUEEN"),
        ("POST", "/v2/models/delete", "QUEEN"),
        ("GET", "/v1/ready", "WORKER"),
        ("POST", "/v1/inference", "WORKER"),
        ("DELETE", "/v1/inference/{request_id}", "WORKER"),
        ("POST", "/v1/admin/shutdown", "WORKER"),
    ],
)
def test_a_route_of_the_contract_is_there(method: str, path: str, program: str) -> None:
    assert (method, path) in {(route.method, route.path) for route in of(program)}
