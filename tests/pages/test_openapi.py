"""The OpenAPI documents are valid, and leave nothing out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openapi_spec_validator import validate

from pages import openapi
from rbee.contract import endpoints as ep
from rbee.contract import gateway_endpoints

ALL = {
    name: route
    for name, route in {**vars(ep), **vars(gateway_endpoints)}.items()
    if isinstance(route, ep.Endpoint)
}
PROGRAMS = list(openapi.PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_is_valid_openapi(program: str) -> None:
    document = openapi.document(program)
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_route_of_the_contract_is_in_one_of_them() -> None:
    assert {name for program in PROGRAMS for name in openapi.routes(program)} == set(ALL)
    for program in PROGRAMS:
        told = sum(len(methods) for methods in openapi.document(program)["paths"].values())
        assert told == len(openapi.routes(program))


@pytest.mark.parametrize("name", ALL)
def test_every_route_says_what_it_is_for(name: str) -> None:
    assert openapi.about(name).endswith("."), f"no text below {name} in endpoints.py"


@pytest.mark.parametrize("program", PROGRAMS)
def test_whatever_is_referred_to_is_there(program: str) -> None:
    document = openapi.document(program)
    schemas = document["components"]["schemas"]
    names = re.findall(r"#/components/schemas/([^'\"]+)['\"]", repr(document))
    assert names
    assert set(names) <= set(schemas)


def operation(program: str, path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = openapi.document(program)["paths"][path][method]
    return found


def test_a_stream_names_its_events() -> None:
    answer = operation("queen", "/v2/tasks", "post")["responses"]["200"]
    events = answer["content"]["text/event-stream"]["x-events"]
    assert {"accepted", "token", "done", "error"} <= set(events)
    assert events["token"] == {"$ref": "#/components/schemas/Token"}


def test_parameters_are_those_of_path_and_query() -> None:
    [parameter] = operation("queen", "/v2/tasks/{request_id}", "delete")["parameters"]
    assert (parameter["in"], parameter["name"], parameter["required"]) == (
        "path",
        "request_id",
        True,
    )
    names = [each["name"] for each in operation("queen", "/v2/logs", "get")["parameters"]]
    assert names == ["node", "follow", "lines"]


def test_only_health_wants_no_key() -> None:
    assert operation("queen", "/health", "get")["security"] == []
    assert operation("hive", "/v1/health", "get")["security"] == [{"key": []}]
    assert operation("queen", "/v2/models", "get")["security"] == [{"key": []}]
    assert operation("queen", "/v2/keys", "get")["security"] == [{"key": ["manage"]}]


def test_what_a_request_takes_has_its_limits() -> None:
    task = openapi.document("queen")["components"]["schemas"]["TaskRequest"]["properties"]
    assert task["max_tokens"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 1_000_000,
        "default": 512,
    }
