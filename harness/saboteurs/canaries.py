"""`python -m harness.saboteurs --canaries [--all | --sample N] [--name N …] [--jobs N]`

Puts a bad program in the place of one of the four, and runs scenarios that use it, each by itself:
every one of them must fail. The program leaves a mark when it was used, so that a scenario that has
nothing to do with it is not counted. By default some scenarios are chosen for each, by `--seed`.
"""

import argparse
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from behave.parser import parse_file

from harness.running.scenario_counts import NOTHING_RAN
from harness.running.tag_requirements import missing_requirement
from harness.saboteurs import stand_ins
from harness.saboteurs.stand_ins import TREE, StandIn
from harness.world.commands import INSTALLED, SCRIPTS

_SAMPLE = 10
_TRIES = 4  # for each of the sample: not every scenario uses the program
_LONGEST_S = 600
_NOTICED, _UNUSED, _GREEN, _BROKEN = "noticed", "unused", "GREEN", "broken"


@dataclass(frozen=True)
class Canary:
    """`words` are in the text of the scenarios that are tried."""

    name: str
    role: str
    stand_in: StandIn
    words: tuple[str, ...]


@dataclass(frozen=True)
class Tried:
    canary: Canary
    location: str
    verdict: str
    took_s: float


_DAEMONS = {
    "keeper": ("rbee-keeper",),
    "queen": ("queen", "infer"),
    "hive": ("hive", "infer"),
    "worker": ("worker", "infer"),
}
_ANSWERS = ("infer", "answer", "task")
CANARIES = (
    *(
        Canary(f"{role}-exits-with-7", role, stand_ins.exits_with_7, words)
        for role, words in _DAEMONS.items()
    ),
    Canary("keeper-says-nothing", "keeper", stand_ins.says_nothing, ("rbee-keeper",)),
    Canary("keeper-drops-the-last-line", "keeper", stand_ins.drops_the_last_line, ("rbee-keeper",)),
    Canary("queen-drops-the-end-mark", "queen", stand_ins.drops_the_end_mark, _ANSWERS),
    Canary("worker-drops-the-end-mark", "worker", stand_ins.drops_the_end_mark, _ANSWERS),
    Canary("hive-answers-with-nothing", "hive", stand_ins.answers_with_nothing, ("hive", "infer")),
)


def main(options: argparse.Namespace) -> int:
    chosen = [each for each in CANARIES if not options.name or each.name in options.name]
    assert chosen, f"no such canary; there are {[each.name for each in CANARIES]}"
    texts = dict(_scenarios(TREE / "features"))
    tried: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="rbee-canaries-") as models:
        for canary in chosen:
            tried += _try(canary, texts, options, Path(models))
    return _sum_up(tried)


def _scenarios(folder: Path) -> Iterator[tuple[str, str]]:
    """Return the location of each scenario that this machine can run, with its text."""
    for file in sorted(folder.rglob("*.feature")):
        feature = parse_file(str(file))
        for scenario in feature.walk_scenarios() if feature else ():
            if missing_requirement(scenario.effective_tags) is None:
                steps = [f"{step.name}" for step in scenario.all_steps]
                location = f"{file.relative_to(TREE)}:{scenario.line}"
                yield location, "\n".join(steps)


def _try(
    canary: Canary, texts: dict[str, str], options: argparse.Namespace, models: Path
) -> list[Tried]:
    candidates = [
        place for place, text in texts.items() if any(word in text for word in canary.words)
    ]
    random.Random(f"{options.seed}{canary.name}").shuffle(candidates)
    wanted = options.sample or _SAMPLE
    if not options.all:
        candidates = candidates[: _TRIES * wanted]
    tried: list[Tried] = []

    def enough() -> bool:
        return not options.all and sum(each.verdict != _UNUSED for each in tried) >= wanted

    def judge(location: str) -> None:
        if not enough():
            tried.append(_run(canary, location, models))
            print(f"{tried[-1].verdict:8}{tried[-1].took_s:6.1f} s  {canary.name}  {location}")
            sys.stdout.flush()

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(judge, candidates))
    return tried


def _run(canary: Canary, location: str, models: Path) -> Tried:
    began = time.monotonic()
    real = SCRIPTS / INSTALLED[canary.role]
    with tempfile.TemporaryDirectory(prefix=f"rbee-{canary.name}-") as scratch:
        program, marks = stand_ins.install(canary.stand_in, Path(scratch), real)
        command = [sys.executable, "-m", "harness", "--no-color", "-D", f"{canary.role}={program}"]
        command += ["-D", f"models={models}", "-D", f"evidence={scratch}/evidence", location]
        environment = {**os.environ, "HARNESS_REPORT": f"{scratch}/report.json"}
        try:
            code = subprocess.run(
                command, cwd=TREE, env=environment, capture_output=True, timeout=_LONGEST_S
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
        used = marks.exists()
    if code == NOTHING_RAN or (code == 0 and not used):
        verdict = _UNUSED
    else:
        verdict = {0: _GREEN, 1: _NOTICED}.get(code, _BROKEN) if used else _BROKEN
    return Tried(canary, location, verdict, time.monotonic() - began)


def _sum_up(tried: list[Tried]) -> int:
    wrong = [each for each in tried if each.verdict in (_GREEN, _BROKEN)]
    for name, group in itertools.groupby(tried, key=lambda each: each.canary.name):
        verdicts = [each.verdict for each in group]
        used = len(verdicts) - verdicts.count(_UNUSED)
        print(f"{verdicts.count(_NOTICED)} of {used} noticed: {name}")
    for each in wrong:
        print(f"{each.verdict}: {each.canary.name}  {each.location}")
    return 1 if wrong or not tried else 0
