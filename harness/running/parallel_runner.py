"""Runs the specification in four parts at once: scenarios wait as much as they compute.

Each part is a behave of its own that takes the next feature when it has finished one. Its output is
shown when it has ended. Scenarios tagged @alone measure times that a neighbour would disturb; they
run afterwards, by themselves.

Failures are listed again at the end. A scenario that failed an assertion beside neighbours is run
once more by itself, since a scenario promises to pass alone; both results are shown. A scenario
that left something running or raised an error is never run again, nor is any if a part did not end
in order or more than `DISTURBED` failed: that is not an accident.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from behave.model import Feature
from behave.parser import parse_file
from behave.runner import Runner

from harness.running.scenario_counts import NOTHING_RAN

PARTS = 4
DISTURBED = 3
_LINE = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)
_EVIDENCE = Path(".evidence")
_FINE = ("passed", "skipped", None)
_DIED = -1  # before its last line


@dataclass(frozen=True)
class Part:
    """What a behave left: exit code, counts, its output, and the features of its JSON report."""

    code: int
    output: Path
    features: list[dict[str, Any]]
    passed: int
    failed: int
    skipped: int

    @property
    def scenarios(self) -> list[dict[str, Any]]:
        return [each for feature in self.features for each in feature.get("elements", ())]

    @property
    def failures(self) -> list[dict[str, Any]]:
        return [each for each in self.scenarios if each.get("status") not in _FINE]

    @property
    def in_order(self) -> bool:
        """Whether it passed, had nothing to do, or had no failures but assertions of scenarios."""
        if self.code in (0, NOTHING_RAN):
            return self.failed == 0
        asserted = [each for each in self.failures if each["status"] == "failed"]
        return self.code == 1 and 0 < self.failed == len(self.failures) == len(asserted)


def run_all(folder: Path) -> int:
    """Run everything below `folder`, print one line that counts it, and return the exit code."""
    shutil.rmtree(_EVIDENCE, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="rbee-models-") as models:
        beside = _beside_each_other(folder, models)
        alone = _run([["-D", f"models={models}", "--tags", "@alone", str(folder)]], PARTS + 1)
    for part in (*beside, *alone):
        for failure in part.failures:
            print(_describe(failure, part))
    suspects = [failure["location"] for part in beside for failure in part.failures]
    accident = 0 < len(suspects) <= DISTURBED and all(part.in_order for part in beside)
    again = _run([suspects], PARTS + 2) if accident else []
    for part in again:
        for scenario in part.scenarios:
            if scenario["location"] in suspects:
                print(f"run again by itself, it {scenario['status']}: {scenario['location']}")
    return _sum_up([*beside, *alone], again)


def _sum_up(parts: Sequence[Part], again: Sequence[Part]) -> int:
    features = [feature for part in (*parts, *again) for feature in part.features]
    (_EVIDENCE / "report.json").write_text(json.dumps(features))
    second = sum(part.passed for part in again)
    passed = sum(part.passed for part in parts) + second
    failed = sum(part.failed for part in parts) - second
    skipped = sum(part.skipped for part in parts)
    if second:
        print(f"{second} of those that passed did so by itself, having failed beside others")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if passed and not failed and all(part.in_order for part in (*parts, *again)) else 1


def _beside_each_other(folder: Path, models: str) -> list[Part]:
    """Start with the largest features, so that the parts end at about the same time."""
    sizes = {str(file): _scenarios(file) for file in folder.rglob("*.feature")}
    files = sorted(sizes, key=lambda file: (-sizes[file], file))
    with tempfile.TemporaryDirectory(prefix="taken-") as taken:
        turns = [
            "--runner",
            "harness.running.parallel_runner:SharedFeatures",
            "-D",
            f"taken={taken}",
            "-D",
            f"models={models}",
        ]
        return _run([[*turns, "--tags", "not @alone", *files]] * PARTS, 1)


def _scenarios(file: Path) -> int:
    feature = parse_file(str(file))
    return len(list(feature.walk_scenarios())) if feature else 0


def _run(parts: Sequence[Sequence[str]], first: int) -> list[Part]:
    """Run each part in a process of its own, all at once; `first` is the first one's number."""
    running = []
    with ExitStack() as stack:
        for number, arguments in enumerate(parts, start=first):
            own = _EVIDENCE / f"part-{number}"
            own.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "harness", "-D", f"evidence={own}", *arguments]
            environment = {**os.environ, "HARNESS_REPORT": str(own / "report.json")}
            with (own / "output.txt").open("wb") as out:
                process = subprocess.Popen(
                    command, env=environment, stdout=out, stderr=subprocess.STDOUT
                )
            stack.callback(_end, process)
            running.append((process, own))
        return [_ended(*each) for each in running]


def _ended(process: subprocess.Popen[bytes], own: Path) -> Part:
    code, file = process.wait(), own / "output.txt"
    output = file.read_text(errors="replace")
    print(output, flush=True)
    try:
        features = json.loads((own / "report.json").read_text())
    except (OSError, ValueError):
        features = []
    counts = _LINE.findall(output)
    if not counts:
        return Part(_DIED, file, features, 0, 1, 0)
    return Part(code, file, features, *(int(count or 0) for count in counts[-1]))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it in order, so that it cleans up, when the run is interrupted."""
    if process.poll() is None:
        process.terminate()
        process.wait()


def _describe(failure: dict[str, Any], part: Part) -> str:
    """Return where the scenario is, its name, and the step that failed with its message."""
    lines = [f"{failure['status']}: {failure['location']}  {failure['name']} ({part.output})"]
    for step in failure.get("steps", ()):
        result = step.get("result", {})
        if result.get("status") not in (*_FINE, "untested"):
            message = result.get("error_message", ())
            reason = message.splitlines() if isinstance(message, str) else list(message)
            lines += [f"    {step['keyword']} {step['name']}", *(f"    {x}" for x in reason[:12])]
    return "\n".join(lines)


class SharedFeatures(Runner):  # type: ignore[misc]  # behave has no types
    """Of the features that every part is given, runs those that no other part has taken yet.

    `-D taken=FOLDER` is where a taken feature has a file. Afterwards `config.broken` says whether
    more than steps went wrong: a hook failed, or the run was interrupted.
    """

    def run_model(self, features: Any = None) -> bool:
        failed = super().run_model(self._taken(Path(self.config.userdata["taken"])))
        self.config.broken = self.aborted or self.hook_failures > 0
        return bool(failed)

    def _taken(self, folder: Path) -> Iterator[Feature]:
        for number, feature in enumerate(self.features):
            if not self.aborted and _take(folder / str(number)):
                yield feature


def _take(file: Path) -> bool:
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
