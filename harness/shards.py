"""The whole specification in three parts at once: most scenarios wait more than they compute.

Each part is a behave of its own that takes the next feature when it has ended one (turns.py).
Its output is shown when it has ended. Scenarios tagged @alone measure times that a neighbour would
disturb. They run afterwards, by themselves.

What failed is told again at the end. A scenario that failed beside neighbours is run once more by
itself, as it promises to pass; both results are told. More than `DISTURBED` of them are no
accident: then nothing is run again.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from behave.parser import parse_file

from harness.verdicts import NOTHING_RAN

PARTS = 3
DISTURBED = 3
_LINE = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)
_EVIDENCE = Path(".evidence")


@dataclass(frozen=True)
class Part:
    """What a behave left: exit code, counts, and the features of its JSON report."""

    code: int
    passed: int
    failed: int
    skipped: int
    features: list[dict[str, Any]]

    @property
    def failures(self) -> list[dict[str, Any]]:
        scenarios = [each for feature in self.features for each in feature.get("elements", ())]
        fine = ("passed", "skipped", "untested", None)
        return [each for each in scenarios if each.get("status") not in fine]

    @property
    def known(self) -> bool:
        """It passed, or had nothing to do, or its failures are those of scenarios: nothing else
        went wrong."""
        return self.code in (0, NOTHING_RAN) or 0 < self.failed == len(self.failures)


def run_all(folder: Path) -> int:
    """Everything below `folder`; the exit code, after one line that counts all."""
    beside = _beside_each_other(folder)
    alone = _run([["--tags", "@alone", str(folder)]], PARTS + 1)
    failures = [failure for part in [*beside, *alone] for failure in part.failures]
    for failure in failures:
        print(_told(failure), flush=True)
    suspects = [failure["location"] for part in beside for failure in part.failures]
    accident = 0 < len(suspects) <= DISTURBED and all(part.known for part in beside)
    again = _run([suspects], PARTS + 2) if accident else []
    for place in suspects if again else ():
        print(f"failed beside others, run again by itself: {place}")
    disturbed = sum(part.passed for part in again)
    parts = [*beside, *alone]
    features = [feature for part in [*parts, *again] for feature in part.features]
    (_EVIDENCE / "report.json").write_text(json.dumps(features))
    passed = sum(part.passed for part in parts) + disturbed
    failed = sum(part.failed for part in parts) - disturbed
    skipped = sum(part.skipped for part in parts)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    unknown = not all(part.known for part in [*parts, *again])
    return 1 if failed or unknown or not passed else 0


def _beside_each_other(folder: Path) -> list[Part]:
    """The features with the most scenarios first, so that the parts end together."""
    sizes = {str(file): _scenarios(file) for file in folder.rglob("*.feature")}
    files = sorted(sizes, key=lambda file: (-sizes[file], file))
    with tempfile.TemporaryDirectory(prefix="taken-") as taken:
        turns = ["--runner", "harness.turns:Turns", "-D", f"taken={taken}"]
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
            report, said = own / "report.json", own / "output.txt"
            report.unlink(missing_ok=True)
            command = [sys.executable, "-m", "harness", "-D", f"evidence={own}", *arguments]
            environment = {**os.environ, "HARNESS_REPORT": str(report)}
            with said.open("wb") as out:
                process = subprocess.Popen(
                    command, env=environment, stdout=out, stderr=subprocess.STDOUT
                )
            stack.callback(_end, process)
            running.append((process, said, report))
        return [_ended(*each) for each in running]


def _ended(process: subprocess.Popen[bytes], said: Path, report: Path) -> Part:
    code, output = process.wait(), said.read_text(errors="replace")
    print(output, flush=True)
    try:
        features = json.loads(report.read_text())
    except (OSError, ValueError):
        features = []
    return Part(code, *_counts(output), features)


def _end(process: subprocess.Popen[bytes]) -> None:
    """In order, so that it cleans up: for whoever breaks this off."""
    if process.poll() is None:
        process.terminate()
        process.wait()


def _counts(output: str) -> tuple[int, int, int]:
    """A part without its last line has failed as a whole."""
    lines = _LINE.findall(output)
    if not lines:
        return 0, 1, 0
    passed, failed, skipped = lines[-1]
    return int(passed), int(failed), int(skipped or 0)


def _told(failure: dict[str, Any]) -> str:
    """Where it is, what it is called, and the step that failed with the words it failed with."""
    lines = [f"failed: {failure['location']}  {failure['name']}"]
    for step in failure.get("steps", ()):
        result = step.get("result", {})
        if result.get("status", "passed") not in ("passed", "skipped", "untested"):
            message = result.get("error_message", ())
            reason = message.splitlines() if isinstance(message, str) else list(message)
            lines += [f"    {step['keyword']} {step['name']}", *(f"    {x}" for x in reason[:12])]
    return "\n".join(lines)
