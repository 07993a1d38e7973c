"""Whether an error has the shape that its route promises: the schema in the OpenAPI file."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache

import jsonschema

from harness.attack.exchange import Answer
from harness.attack.mutations import Shape
from harness.attack.openapi import Route

# Their requests may be no request of the route, or no request at all.
_LEAD_ELSEWHERE = {
    *("wrong_method", "path_trick", "query_trick", "wrong_header", "missing_header", "chunked"),
    *("partial", "pipelined", "not_http", "two_lengths"),
}


def is_error_of(route: Route) -> Callable[[bytes], bool]:
    """Whether a body is an error as the route has it, with nothing beside it."""
    validator = _validator(route)

    def judge(body: bytes) -> bool:
        try:
            return bool(validator.is_valid(json.loads(body)))
        except ValueError:
            return False

    return judge


def problem(route: Route, shape: Shape, answer: Answer) -> str:
    """What is wrong with the shape of an answer to a request that surely was one of the route."""
    reached = not _LEAD_ELSEWHERE & {*shape.notes}
    if answer.status < 400 or answer.only_head or answer.in_shape or not reached:
        return ""
    return f"{answer.to}: {answer.status} is not of the shape {route.error}: {answer.body[:160]!r}"


@cache
def _validator(route: Route) -> jsonschema.Draft202012Validator:
    reference = {"$ref": f"#/components/schemas/{route.error}"}
    return jsonschema.Draft202012Validator(
        {**reference, "components": {"schemas": dict(route.schemas)}}
    )
