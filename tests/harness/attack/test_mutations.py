"""What the fuzzer draws stays near: on loopback, and without ending what it attacks."""

from __future__ import annotations

import json
import re
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.attack import openapi
from harness.attack.fuzz import drawn, shape_of
from harness.attack.mutations import MUTATIONS
from harness.attack.scene import Scene

KEY = "k" * 43
SCENE = cast(
    Scene,
    SimpleNamespace(
        addresses=dict.fromkeys(("queen", "hive", "worker"), ("127.0.0.1", 1)),
        bearer={"Authorization": f"Bearer {KEY}"},
        model="bundled:one",
    ),
)
_FAR = re.compile(rb'"(?:ssh_host|hive_url|git_repo_url)": "([^"]*)"')
_NEAR = re.compile(rb"127\.\d+\.\d+\.\d+|http://127\.0\.0\.9:\d.*|file:///nowhere|")


def test_every_route_of_every_program_is_drawn() -> None:
    paths = {(route.program, route.method, route.path) for route, _ in drawn(1, 200, SCENE)}
    assert paths == {(each.program, each.method, each.path) for each in openapi.routes()}
    assert len(paths) > 50


def test_only_the_routes_in_protocols_of_others_are_drawn_if_asked_for() -> None:
    wanted = {each for each in openapi.routes() if each.foreign}
    assert {route for route, _ in drawn(1, 200, SCENE, foreign=True)} == wanted
    assert all(route.error != "ErrorEnvelope" for route in wanted) and len(wanted) > 10


def test_nothing_that_is_drawn_leads_elsewhere() -> None:
    found = 0
    for _, shape in drawn(5, 8000, SCENE):
        for said in _FAR.findall(shape.content):
            found += 1
            is_a_text = said.isascii() and said.decode().isprintable() and b"\\" not in said
            assert _NEAR.fullmatch(said) or not is_a_text, said
    assert found > 20


def test_a_program_is_not_told_to_end_by_who_has_the_key() -> None:
    for route, shape in drawn(6, 5000, SCENE):
        if route.deadly:
            assert f"Bearer {KEY}\r\n".lower().encode() not in shape.content.lower()


@pytest.mark.parametrize("mutation", sorted(set(MUTATIONS), key=lambda each: each.__name__))
def test_each_mutation_changes_every_kind_of_request(mutation: Any) -> None:
    random = Random(2)
    changed = 0
    for route in openapi.routes():
        shape = shape_of(route, SCENE, random)
        changed += mutation(shape, random).content != shape.content
    assert changed > 3


def test_valid_messages_have_their_required_fields() -> None:
    for route in openapi.routes():
        if route.body is not None:
            message = openapi.value(route.body, route, Random(1))
            name = str(route.body.get("$ref", "")).rpartition("/")[2]
            required = route.schemas.get(name, {}).get("required", [])
            assert set(required) <= set(message), route
            json.dumps(message)
