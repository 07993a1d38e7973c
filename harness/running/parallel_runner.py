"""Runs the specification in four parts at once: scenarios wait as much as they compute.

Each part is a behave of its own that takes the next feature when it has finished one. Its output is
shown when it has ended. Scenarios tagged @alone measure times that a neighbour would disturb; they
run afterwards, by themselves.

Failures are listed again at the end. If one assertion of one scenario failed beside neighbours, and
nothing else went wrong in the whole run, that scenario is run once more by itself, since a scenario
promises to pass alone. Both results are shown, and it is counted apart from those that passed. Two
failures are not an accident; nor is a scenario that left something running or raised an error.
"""

import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from behave.parser import parse_file

from harness.running import run_report
from harness.running.parts import EVIDENCE, Part, run_parts
from harness.running.run_facts import facts
from harness.running.scenario_results import FINE

PARTS = 4
KEPT = ("saboteurs.jsonl", "canaries.jsonl", "tests.xml")  # of other runs
_RUNNER = ("--runner", "harness.running.shared_features:SharedFeatures")


def run_all(
    folder: Path,
    order: str | None = None,
    each_alone: bool = False,
    userdata: Sequence[str] = (),
) -> int:
    """Run everything below `folder`, print one line that counts it, and return the exit code.

    With `order`, features and scenarios are in a random order that the same word repeats. With
    `each_alone`, each feature file is a run of its own. `userdata` is given to every part.
    """
    _clear_evidence()
    given = [word for each in userdata for word in ("-D", each)]
    how = [f"--order {order}"] * (order is not None) + ["--each-alone"] * each_alone
    about = facts(" ".join([*given, *how, str(folder)]), whole=folder == Path("features"))
    files = sorted(folder.rglob("*.feature"))
    if not files:
        return _sum_up([], None, about)
    with tempfile.TemporaryDirectory(prefix="rbee-models-") as models:
        common = [*_RUNNER, *given, "-D", f"models={models}"]
        if order is not None:
            common += ["-D", f"order={order}"]
        if each_alone:
            beside = _each_in_a_run_of_its_own(files, common)
        else:
            beside = _beside_each_other(files, common, order)
        parts = [*beside, *_alone(files, common, each_alone)]
    for part in parts:
        for failure in part.failures:
            print(_describe(failure, part))
    return _sum_up(parts, _second_look(parts, beside, given), about)


def _clear_evidence() -> None:
    EVIDENCE.mkdir(exist_ok=True)
    for path in EVIDENCE.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in KEPT:
            path.unlink()


def _second_look(
    parts: Sequence[Part], beside: Sequence[Part], given: Sequence[str]
) -> Part | None:
    """Run the one scenario that failed an assertion once more by itself, if there is only one."""
    suspects = [failure["location"] for part in beside for failure in part.failures]
    failed = sum(part.failed for part in parts)
    if not (failed == len(suspects) == 1 and all(part.in_order for part in parts)):
        return None
    [again] = run_parts({"second-look": [*given, *suspects]})
    return again


def _sum_up(parts: Sequence[Part], again: Part | None, about: dict[str, Any]) -> int:
    every = [*parts, *([again] if again else [])]
    run_report.write([feature for part in every for feature in part.features], about)
    passed, failed = sum(part.passed for part in parts), sum(part.failed for part in parts)
    skipped = sum(part.skipped for part in parts)
    counted = f"{passed} passed, {failed} failed"
    recovered = False
    if again:
        recovered = again.passed == 1 and again.failed == 0
        [location] = [each["location"] for part in parts for each in part.failures]
        print(f"looked at twice: {location} failed beside others, then", end=" ")
        print("passed by itself" if recovered else "failed by itself as well")
    if recovered:
        counted = f"{passed} passed, {failed - 1} failed, 1 looked at twice"
    print(counted + (f", {skipped} skipped" if skipped else ""))
    in_order = all(part.in_order for part in every)
    return 0 if passed + recovered and failed == recovered and in_order else 1


def _beside_each_other(files: Sequence[Path], common: list[str], order: str | None) -> list[Part]:
    """Start with the largest features, so that the parts end at about the same time."""
    sizes = {str(file): _scenarios(file) for file in files}
    first = sorted(sizes, key=lambda file: (-sizes[file], file))
    if order is not None:
        random.Random(order).shuffle(first)
    with tempfile.TemporaryDirectory(prefix="taken-") as taken:
        arguments = [*common, "-D", f"taken={taken}", "--tags", "not @alone", *first]
        parts = min(PARTS, len(first))
        return run_parts({f"part-{number}": arguments for number in range(1, parts + 1)})


def _each_in_a_run_of_its_own(files: Sequence[Path], common: list[str]) -> list[Part]:
    found = []
    for first in range(0, len(files), PARTS):
        batch = files[first : first + PARTS]
        arguments = [*common, "--tags", "not @alone"]
        found += run_parts({_name(file): [*arguments, str(file)] for file in batch})
    return found


def _alone(files: Sequence[Path], common: list[str], each_alone: bool) -> list[Part]:
    having = [str(file) for file in files if "@alone" in file.read_text(encoding="utf-8")]
    groups = [[file] for file in having] if each_alone else [having] if having else []
    arguments = [*common, "--tags", "@alone"]
    return [
        part
        for number, group in enumerate(groups, 1)
        for part in run_parts({f"alone-{number}": [*arguments, *group]})
    ]


def _name(file: Path) -> str:
    return "-".join(file.with_suffix("").parts)


def _scenarios(file: Path) -> int:
    feature = parse_file(str(file))
    return len(list(feature.walk_scenarios())) if feature else 0


def _describe(failure: dict[str, Any], part: Part) -> str:
    """Return where the scenario is, its name, and the step that failed with its message."""
    lines = [f"{failure['status']}: {failure['location']}  {failure['name']} ({part.output})"]
    for step in failure.get("steps", ()):
        result = step.get("result", {})
        if result.get("status") not in (*FINE, "untested"):
            reason = result.get("error_message", ())
            lines += [f"    {step['keyword']} {step['name']}", *(f"    {x}" for x in reason[:12])]
    lines += [f"    {line}" for line in failure.get("error_message", ())]
    return "\n".join(lines)
