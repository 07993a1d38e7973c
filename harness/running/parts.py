"""Runs behave in processes of their own, and reads what each left."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.running.scenario_counts import NOTHING_RAN
from harness.running.scenario_results import FINE

EVIDENCE = Path(".evidence")
_LINE = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)
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
        return [each for each in self.scenarios if each.get("status") not in FINE]

    @property
    def in_order(self) -> bool:
        """Whether it passed, had nothing to do, or had no failures but assertions of scenarios."""
        if self.code in (0, NOTHING_RAN):
            return self.failed == 0
        asserted = [each for each in self.failures if each["status"] == "failed"]
        return self.code == 1 and 0 < self.failed == len(self.failures) == len(asserted)


def run_parts(parts: Mapping[str, Sequence[str]]) -> list[Part]:
    """Run a behave with each of these arguments, all at once. The names are those of the folders
    in which they leave what they have to say."""
    running = []
    with ExitStack() as stack:
        for name, arguments in parts.items():
            own = EVIDENCE / name
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
