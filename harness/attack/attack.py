"""An attack from its first request to the table: worlds, cases, the fuzzer, the verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.attack.cases import Case
from harness.attack.fuzz import fuzz
from harness.attack.scene import Scene
from harness.attack.verdict import LOG_BYTES, Bounds, Measured, Result, judge
from harness.model_files.cache import ModelFiles
from harness.world.commands import Commands
from harness.world.evidence import Evidence
from harness.world.world import World

FUZZER = "fuzzer"
# llama.cpp keeps its buffer for results, which has room for a score of each word at each token of
# the largest batch so far: 25 MB for 128 tokens. How many vectors fall into one batch is chance.
_FUZZER_GROWTH_MB = 112.0
# So many before anything is measured: caches fill, and modules are imported late.
_WARM_UP = 120
_LARGE_BODIES = 10
_LOG_BYTES_EACH = 1000


@dataclass(frozen=True)
class Plan:
    """What to attack with, and for how long at most. The same seed draws the same requests.
    `foreign`: the fuzzer leaves out the routes that are our own."""

    seed: int
    requests: int
    seconds: float
    cases: tuple[Case, ...]
    foreign: bool
    evidence: Path


def attack(plan: Plan) -> Iterator[Result]:
    """Run the fuzzer, then the cases. A case for which no time is left has that as its fault. No
    process is left, whatever happens."""
    deadline = time.monotonic() + plan.seconds
    models = ModelFiles()
    try:
        if plan.requests or any(not case.own for case in plan.cases):
            yield from _in_one_world(plan, models, deadline)
        for case in (each for each in plan.cases if each.own):
            with _Stage(case.name, plan, models) as stage:
                result = _of_case(case, stage.scene, deadline)
                stage.failed = not result.held
            yield replace(result, faults=[*result.faults, *stage.left])
    finally:
        models.close()


def _in_one_world(plan: Plan, models: ModelFiles, deadline: float) -> Iterator[Result]:
    began = time.monotonic()
    with _Stage("the attack", plan, models) as stage:
        scene = stage.scene
        try:
            scene.boot()
        except (AssertionError, OSError) as error:
            yield judge("boot", [], Measured(), [], faults=[str(error)])
            return
        for result in _of_shared(plan, scene, deadline):
            stage.failed |= not result.held
            yield result
        began = time.monotonic()
    took_s = time.monotonic() - began
    yield judge("the end", [], Measured(), [], faults=stage.left, took_s=took_s)


def _of_shared(plan: Plan, scene: Scene, deadline: float) -> Iterator[Result]:
    if plan.requests:
        _warm_up(scene)
        fuzz(scene, plan.seed + 1, min(_WARM_UP, plan.requests), deadline, plan.foreign)
        log_bytes = max(LOG_BYTES, _LOG_BYTES_EACH * plan.requests)
        bounds = Bounds(growth_mb=_FUZZER_GROWTH_MB, log_bytes=log_bytes)
        yield _judged(
            FUZZER,
            lambda _: fuzz(scene, plan.seed, plan.requests, deadline, plan.foreign),
            scene,
            bounds,
        )
    for case in (each for each in plan.cases if not each.own):
        yield _of_case(case, scene, deadline)


def _warm_up(scene: Scene) -> None:
    """What a worker keeps from its first vectors, form and large body on is not growth."""
    text = {"prompt": "hi", "max_tokens": 1, "stream": False}
    scene.send("worker", "POST", "/v1/embeddings", {"input": ["a word " * 200]})
    scene.send(
        "worker", "POST", "/v1/inference", {**text, "response_format": {"type": "json_object"}}
    )
    for _ in range(_LARGE_BODIES):
        scene.send("worker", "POST", "/v1/inference", {**text, "prompt": "a" * 1_000_000})


def _of_case(case: Case, scene: Scene, deadline: float) -> Result:
    if time.monotonic() > deadline:
        return judge(case.name, [], Measured(), [], faults=["no time was left for it"])
    return _judged(case.name, case.attack, scene, case.bounds)


def _judged(name: str, attack: Callable[[Scene], None], scene: Scene, bounds: Bounds) -> Result:
    """Run an attack, and judge what came of it. What the attacker did not expect is a fault too."""
    scene.begin()
    began = time.monotonic()
    try:
        attack(scene)
        scene.check_alive()
    except Exception as error:
        scene.faults.append(f"{type(error).__name__}: {error}")
    measured = scene.measured(bounds.growth_mb)
    took_s = time.monotonic() - began
    return judge(name, scene.answers, measured, scene.secrets, bounds, scene.faults, took_s)


class _Stage:
    """A world with a scene in it. `left` is what was wrong when it ended; what its programs wrote
    is kept if that, or something before, has failed."""

    def __init__(self, name: str, plan: Plan, models: ModelFiles) -> None:
        self._evidence = Evidence(plan.evidence, f"attack {name}")
        self._world = World(Commands({}), models, self._evidence)
        self.scene = Scene(self._world)
        self.failed = False
        self.left: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._world.end(judge=error is None)
        except AssertionError as leak:
            self.left.append(str(leak))
        if self.failed or self.left or error is not None:
            self._evidence.report()
        else:
            self._evidence.discard()
