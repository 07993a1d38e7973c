"""The fuzzer: requests from the OpenAPI files, valid ones and mutated ones, the same for a seed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from random import Random

from harness.attack import error_shapes, openapi
from harness.attack.mutations import Shape, mutate
from harness.attack.openapi import Route
from harness.attack.scene import Scene

# As many are valid, so that what follows a refusal works too.
_VALID = 0.15
_WITHOUT_KEY = 0.1
# Of the questions in protocols of others, so many name a model that can answer.
_ANSWERED = 0.6
_BETWEEN_CHECKS = 500


def fuzz(scene: Scene, seed: int, requests: int, until: float, foreign: bool = False) -> None:
    """Send them to queen, hive and worker, until the clock shows `until`; each program must answer
    others in between. `foreign`: only to the routes in protocols of others."""
    for count, (route, shape) in enumerate(drawn(seed, requests, scene, foreign), start=1):
        note = f"{route} ({', '.join(shape.notes) or 'valid'})"
        is_error = error_shapes.is_error_of(route)
        answer = scene.send_raw(
            route.program, shape.content, note, whole=shape.whole, is_error=is_error
        )
        wrong = error_shapes.problem(route, shape, answer)
        scene.expect(not wrong, wrong)
        if count % _BETWEEN_CHECKS == 0:
            scene.check_alive()
        if scene.faults or time.monotonic() > until:
            break
    scene.check_alive()
    scene.check_logs()


def drawn(
    seed: int, requests: int, scene: Scene, foreign: bool = False
) -> Iterator[tuple[Route, Shape]]:
    """Each route in turn, or each in a protocol of others."""
    random = Random(seed)
    known = [route for route in openapi.routes() if route.foreign or not foreign]
    for number in range(requests):
        if number % len(known) == 0:
            random.shuffle(known)
        route = known[number % len(known)]
        yield route, shape_of(route, scene, random)


def shape_of(route: Route, scene: Scene, random: Random) -> Shape:
    """A request for the route. One that would end the program has no key."""
    host, port = scene.addresses[route.program]
    headers = {"Host": f"{host}:{port}"}
    if not route.deadly and random.random() > _WITHOUT_KEY:
        headers.update(scene.bearer)
    message, body = None, None
    if route.body is not None:
        message = openapi.value(route.body, route, random)
        if route.asks and random.random() < _ANSWERED:
            message["model"] = scene.model
        body = json.dumps(message).encode()
        headers["Content-Type"] = "application/json"
    shape = Shape(route.method, openapi.path_of(route, random), headers, body, message)
    return shape if random.random() < _VALID else mutate(shape, random)
