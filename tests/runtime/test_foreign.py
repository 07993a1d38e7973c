"""Routes in protocols of others: made when they are needed, and how errors are told below them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rbee.runtime.foreign import Below, ForeignRoutes


def openai(*_: object) -> object:
    return "in OpenAI's shape"


def ollama(*_: object) -> object:
    return "in Ollama's shape"


def test_they_are_made_once() -> None:
    made: list[int] = []
    routes = ForeignRoutes()
    routes.later(lambda: made.append(1))
    routes.make()
    routes.make()
    assert made == [1]


def test_what_went_wrong_is_tried_again() -> None:
    """As too many open files, with which nothing can be imported."""
    faults, made = [OSError("Too many open files")], []

    def make() -> None:
        if faults:
            raise faults.pop()
        made.append(1)

    routes = ForeignRoutes()
    routes.later(make)
    with pytest.raises(OSError, match="Too many"):
        routes.make()
    routes.make()
    assert made == [1]


@pytest.mark.parametrize(
    ("path", "meant", "told"),
    [
        ("/v1/modles", "/v1/models", openai),
        ("/v1/nothing", None, openai),
        ("/api/models", "/models", ollama),
        ("/api/tasks", "/v2/tasks", ollama),
        ("/modles", "/models", openai),
        ("/v2/taks", "/v2/tasks", None),
        ("/v1/auth/proof", "/v1/auth/proof", None),
        ("/nothing", None, None),
    ],
)
def test_a_path_without_a_route_is_told_in_the_shape_of_what_it_is_below(
    path: str, meant: str | None, told: object
) -> None:
    routes = ForeignRoutes()
    routes.below(Below("/v1/", "", openai))
    routes.below(Below("/api/", "", ollama))
    for each in ("/models", "/v1/models"):
        routes.refuse(each, openai)
    no_route = SimpleNamespace(route=SimpleNamespace(resource=None))
    request: Any = SimpleNamespace(match_info=no_route, path=path, headers={})
    assert routes.refusal(request, meant) is told
