"""`python -m harness.saboteurs --canaries [--all | --sample N] [--name N …] [--jobs N]`

Puts a bad program in the place of one of the four, and runs scenarios that use it, each by itself:
every one of them must fail. The program leaves a mark when it was used, so that a scenario that has
nothing to do with it is not counted. By default some scenarios are chosen for each, by `--seed`;
with `--all` they are in the order of the seed, and `.evidence/canaries.jsonl` keeps the results, so
that a run that was interrupted goes on where it stopped. canaries.toml says of scenarios that stay
green why that is right.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from behave.parser import parse_file

from harness.running.scenario_counts import NOTHING_RAN
from harness.running.tag_requirements import missing_requirement
from harness.saboteurs import stand_ins
from harness.saboteurs.stand_ins import TREE, StandIn
from harness.world.commands import INSTALLED, SCRIPTS

_SAMPLE = 10
_LONGEST_S = 600
_NOTICED, _UNUSED, _ACCEPTED = "noticed", "unused", "accepted"
_GREEN, _BROKEN = "GREEN", "broken"
_RESULTS = TREE / ".evidence" / "canaries.jsonl"
_REASONS = Path(__file__).parent / "canaries.toml"


@dataclass(frozen=True)
class Place:
    """A scenario, or one row of an outline."""

    file: str
    line: int
    name: str
    steps: str

    @property
    def location(self) -> str:
        return f"{self.file}:{self.line}"

    def is_of(self, row: dict[str, Any]) -> bool:
        """Whether the row names it: the file, and how its name begins."""
        return self.file == row["feature"] and self.name.startswith(tuple(row["scenarios"]))


@dataclass(frozen=True)
class Canary:
    """`words` are in the text of the scenarios that are tried."""

    name: str
    role: str
    stand_in: StandIn
    words: tuple[str, ...]

    def concerns(self, place: Place) -> bool:
        return any(word in place.steps for word in self.words)


@dataclass(frozen=True)
class Tried:
    key: str
    canary: str
    location: str
    verdict: str
    took_s: float

    @property
    def used(self) -> bool:
        return self.verdict != _UNUSED


_DAEMONS = {
    "keeper": ("rbee-keeper",),
    "queen": ("queen", "infer"),
    "hive": ("hive", "infer"),
    "worker": ("worker", "infer"),
}
_ANSWERS = ("infer", "answer", "task")
_PRINTED = ("standard output", "it lists", "the JSON", "the answer has", "previous run")
CANARIES = (
    *(
        Canary(f"{role}-exits-with-7", role, stand_ins.exits_with_7, words)
        for role, words in _DAEMONS.items()
    ),
    Canary("keeper-says-nothing", "keeper", stand_ins.says_nothing, ("rbee-keeper",)),
    Canary("keeper-drops-the-last-line", "keeper", stand_ins.drops_the_last_line, _PRINTED),
    Canary("queen-drops-the-end-mark", "queen", stand_ins.drops_the_end_mark, _ANSWERS),
    Canary("worker-drops-the-end-mark", "worker", stand_ins.drops_the_end_mark, _ANSWERS),
    Canary("hive-answers-with-nothing", "hive", stand_ins.answers_with_nothing, ("hive", "infer")),
)


def main(options: argparse.Namespace) -> int:
    chosen = [each for each in CANARIES if not options.name or each.name in options.name]
    assert chosen, f"no such canary; there are {[each.name for each in CANARIES]}"
    places = list(scenarios(TREE / "features"))
    pairs = [(canary, place) for canary in chosen for place in places if canary.concerns(place)]
    random.Random(options.seed).shuffle(pairs)
    wanted = len(pairs) if options.all else options.sample or _SAMPLE
    known = {} if options.again else _known()
    tried: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="rbee-canaries-") as models:

        def judge(pair: tuple[Canary, Place]) -> None:
            canary, place = pair
            used = [each for each in tried if each.canary == canary.name and each.used]
            if len(used) < wanted:
                found = known.get(_key(canary, place)) or _run(canary, place, Path(models))
                tried.append(found)
                print(f"{found.verdict:9}{found.took_s:6.1f} s  {canary.name}  {place.location}")
                sys.stdout.flush()

        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(judge, pairs))
    return _sum_up(tried)


def reasons() -> list[dict[str, Any]]:
    """Which scenarios stay green with which canary, and why that is right."""
    return list(tomllib.loads(_REASONS.read_text(encoding="utf-8"))["green"])


def scenarios(folder: Path) -> Iterator[Place]:
    """Return those that this machine can run."""
    for file in sorted(folder.rglob("*.feature")):
        feature = parse_file(str(file))
        for scenario in feature.walk_scenarios() if feature else ():
            if missing_requirement(scenario.effective_tags) is None:
                steps = "\n".join(step.name for step in scenario.all_steps)
                yield Place(str(file.relative_to(TREE)), scenario.line, scenario.name, steps)


def _key(canary: Canary, place: Place) -> str:
    """Changes with the scenario's text, but not with its line."""
    texts = (canary.name, place.file, place.name, place.steps)
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _known() -> dict[str, Tried]:
    """What earlier runs saw, by its keys; but what was green or broken is run again."""
    if not _RESULTS.exists():
        return {}
    rows = [Tried(**json.loads(line)) for line in _RESULTS.read_text().splitlines()]
    return {row.key: row for row in rows if row.verdict in (_NOTICED, _UNUSED)}


def _run(canary: Canary, place: Place, models: Path) -> Tried:
    began = time.monotonic()
    real = SCRIPTS / INSTALLED[canary.role]
    with tempfile.TemporaryDirectory(prefix=f"rbee-{canary.name}-") as scratch:
        program, marks = stand_ins.install(canary.stand_in, Path(scratch), real)
        command = [sys.executable, "-m", "harness", "--no-color", "-D", f"{canary.role}={program}"]
        command += ["-D", f"models={models}", "-D", f"evidence={scratch}/evidence", place.location]
        environment = {**os.environ, "HARNESS_REPORT": f"{scratch}/report.json"}
        try:
            code = subprocess.run(
                command, cwd=TREE, env=environment, capture_output=True, timeout=_LONGEST_S
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
        verdict = _verdict(canary, place, code, used=marks.stat().st_size > 0)
    took = round(time.monotonic() - began, 1)
    result = Tried(_key(canary, place), canary.name, place.location, verdict, took)
    _RESULTS.parent.mkdir(exist_ok=True)
    with _RESULTS.open("a") as file:
        file.write(json.dumps(asdict(result)) + "\n")
    return result


def _verdict(canary: Canary, place: Place, code: int, used: bool) -> str:
    if code == NOTHING_RAN or (code == 0 and not used):
        return _UNUSED
    if code == 0:
        right = any(canary.name == row["canary"] and place.is_of(row) for row in reasons())
        return _ACCEPTED if right else _GREEN
    return _NOTICED if code == 1 and used else _BROKEN


def _sum_up(tried: list[Tried]) -> int:
    wrong = [each for each in tried if each.verdict in (_GREEN, _BROKEN)]
    for canary in CANARIES:
        verdicts = [each.verdict for each in tried if each.canary == canary.name]
        used = len(verdicts) - verdicts.count(_UNUSED)
        accepted = verdicts.count(_ACCEPTED)
        print(f"{verdicts.count(_NOTICED)} of {used} noticed, {accepted} accepted: {canary.name}")
    for each in wrong:
        print(f"{each.verdict}: {each.canary}  {each.location}")
    return 1 if wrong or not tried else 0
