"""Kill one program with SIGKILL at a random moment, many times, and check what is left.

    python -m benchmarks.kill_matrix --rounds 200 --seed 7 [--ssh] [--markdown FILE]

Each round has a world of its own (harness/world/), and with --ssh a node of its own behind the
harness's SSH server, on which hive and worker run. After the kill, everything that depended on the
victim ends within 10 s and the rest lives; no port is held and no file damaged; the next command
works (a download resumes and ends with the right bytes); and in the end nothing runs. The same seed
gives the same rounds. The exit code is 1 if a round failed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import NamedTuple

from harness.breaking import after_kill
from harness.breaking.kill_matrix import PHASES, VICTIMS, Plan, Round, draw_plan
from harness.model_files.cache import ModelFiles
from harness.ssh.node import Node, add_node
from harness.world.commands import Commands
from harness.world.evidence import Evidence
from harness.world.world import World


class Result(NamedTuple):
    """`failure` is "" if there was none; `emptied_s` is from the kill to the last process's end."""

    plan: Plan
    emptied_s: float
    failure: str


def plans(rounds: int, seed: int) -> list[Plan]:
    """Every victim in every phase equally often, in random order."""
    random = Random(seed)
    cells = [(victim, phase) for victim in VICTIMS for phase in PHASES]
    drawn: list[Plan] = []
    while len(drawn) < rounds:
        random.shuffle(cells)
        drawn += [draw_plan(random, victim, phase) for victim, phase in cells]
    return drawn[:rounds]


def play(plan: Plan, number: int, shelf: ModelFiles, folder: Path, ssh: bool) -> Result:
    """Run one round in a world of its own. None of its processes survives, whatever happens."""
    evidence = Evidence(folder, f"round {number} {plan}")
    world = World(Commands({}), shelf, evidence)
    played: Round | None = None
    failure = ""
    try:
        played = Round(world, plan, _node(world) if ssh else None)
        played.reach_phase()
        played.kill_victim()
        played.wait_for_effects()
        after_kill.check(played)
    except (AssertionError, OSError) as error:
        failure = str(error) or repr(error)
    try:
        world.end(judge=not failure)
    except AssertionError as error:
        failure = failure or str(error)
    if failure:
        evidence.note(failure)
        evidence.report()
    else:
        evidence.discard()
    return Result(plan, played.emptied_s if played else 0.0, failure)


def _node(world: World) -> Node:
    node = add_node(world, "workstation")
    added = world.start(
        f"rbee-keeper setup add-node --name {node.name} --ssh-host {node.host}"
        f" --accept-host-key {node.server.fingerprint}"
    )
    assert added.wait(within=30) == 0, added.stderr.text
    return node


def table(results: list[Result]) -> str:
    """Phase by victim: rounds, failures, and the longest time until nothing was left."""
    cells = defaultdict(list)
    for result in results:
        cells[result.plan.phase, result.plan.victim].append(result)
    lines = ["| phase | " + " | ".join(VICTIMS) + " |", "| --- |" + " ---: |" * len(VICTIMS)]
    for phase in PHASES:
        row = [_cell(cells[phase, victim]) for victim in VICTIMS]
        lines.append(f"| {phase} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def _cell(results: list[Result]) -> str:
    if not results:
        return "–"
    failures = sum(bool(result.failure) for result in results)
    longest = max(result.emptied_s for result in results)
    return f"{len(results)} rounds, {failures} failed, {longest:.1f} s"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill_matrix")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--first", type=int, default=1, help="start with this round of the seed")
    parser.add_argument("--ssh", action="store_true", help="run hive and worker on a node over SSH")
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    parser.add_argument("--evidence", type=Path, default=Path(".evidence"))
    options = parser.parse_args()
    began = time.monotonic()
    shelf, results = ModelFiles(), []
    try:
        drawn = plans(options.first - 1 + options.rounds, options.seed)
        for number, plan in list(enumerate(drawn, start=1))[options.first - 1 :]:
            at = time.monotonic()
            result = play(plan, number, shelf, options.evidence.absolute(), options.ssh)
            results.append(result)
            outcome = f"FAILED: {result.failure[:600]}" if result.failure else "nothing left"
            took = f"{result.emptied_s:.1f} s, round {time.monotonic() - at:.1f} s"
            print(f"{number:4} {plan}: {outcome} ({took})", flush=True)
    finally:
        shelf.close()
    failed = sum(bool(result.failure) for result in results)
    where = "over SSH" if options.ssh else "on one machine"
    longest = max((result.emptied_s for result in results), default=0.0)
    summary = (
        f"{len(results)} rounds {where}, seed {options.seed}: {failed} failed; "
        f"the longest time until nothing was left: {longest:.1f} s"
    )
    print(f"\n{table(results)}\n\n{summary}, in {(time.monotonic() - began) / 60:.1f} min")
    if options.markdown:
        options.markdown.write_text(f"{table(results)}\n\n{summary}.\n", encoding="utf-8")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
