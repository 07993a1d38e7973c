"""An error has the shape of its route, wherever the request surely was one of the route."""

from __future__ import annotations

import json

import pytest

from harness.attack import error_shapes, openapi
from harness.attack.exchange import Answer
from harness.attack.mutations import Shape
from harness.attack.verdict import Measured, judge

[CHAT] = [each for each in openapi.routes() if each.path == "/v1/chat/completions"]
[TASKS] = [each for each in openapi.routes() if (each.method, each.path) == ("POST", "/v2/tasks")]
OURS = {"error": {"code": "X", "message": "no", "details": {}}}
THEIRS = {
    "error": {
        "message": "no",
        "type": "server_error",
        "param": None,
        "code": "x",
        "rbee": {"code": "X", "details": {}},
    }
}


def answer(status: int, body: object, route: openapi.Route = CHAT) -> Answer:
    text = json.dumps(body).encode()
    return Answer(status, 0.1, body=text, in_shape=error_shapes.is_error_of(route)(text))


@pytest.mark.parametrize(
    ("found", "notes", "wrong"),
    [
        (answer(400, THEIRS), (), False),
        (answer(400, OURS), ("wrong_value",), True),
        (answer(400, "no"), (), True),
        (answer(400, OURS), ("wrong_value", "path_trick"), False),
        (answer(200, OURS), (), False),
    ],
)
def test_an_error_must_have_the_shape_of_its_route(
    found: Answer, notes: tuple[str, ...], wrong: bool
) -> None:
    shape = Shape("POST", "/", {}, None, None, notes=notes)
    assert bool(error_shapes.problem(CHAT, shape, found)) == wrong


def test_each_route_has_its_own_shape() -> None:
    theirs, ours = json.dumps(THEIRS).encode(), json.dumps(OURS).encode()
    assert [error_shapes.is_error_of(route)(ours) for route in (CHAT, TASKS)] == [False, True]
    assert [error_shapes.is_error_of(CHAT)(each) for each in (theirs, b"{", b"")] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("found", "held"),
    [
        (Answer(404, 0.1, body=b'{"error": "x"}', in_shape=True), True),
        (Answer(503, 0.1, body=b'{"error": "x"}', in_shape=True), True),
        (Answer(500, 0.1, body=b'{"error": "x"}', in_shape=True), False),
        (Answer(200, 0.1, body=b'data: {"error":{"rbee":{"code":"INTERNAL"}}}'), False),
    ],
)
def test_no_error_is_one_that_nobody_expects(found: Answer, held: bool) -> None:
    assert judge("one", [found], Measured(), []).held == held
