"""The whole specification in three parts at once: most scenarios wait more than they compute.

Scenarios tagged @alone measure times that a neighbour would disturb. They run afterwards, by
themselves. Each part is a behave of its own, whose output is shown when it has ended.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from behave.parser import parse_file

PARTS = 3
_LINE = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)


def run_all(folder: Path) -> int:
    """Everything below `folder`; the exit code, after one line that counts all."""
    parts = [["--tags", "not @alone", *files] for files in split(folder)]
    results = [*_together(parts, 1), *_together([["--tags", "@alone"]], 1 + len(parts))]
    reports = [json.loads(file.read_text() or "[]") for _, _, file in results if file.exists()]
    merged = [feature for report in reports for feature in report]
    (Path(".evidence") / "report.json").write_text(json.dumps(merged))
    counts = [_counts(output) for _, output, _ in results]
    passed, failed, skipped = (sum(column) for column in zip(*counts, strict=True))
    told = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{told}", flush=True)
    return 0 if all(code == 0 for code, _, _ in results) and not failed else 1


def split(folder: Path) -> list[list[str]]:
    """The feature files in as many parts as run at once, with about as many scenarios in each."""
    parts: list[list[str]] = [[] for _ in range(PARTS)]
    weights = [0] * PARTS
    sizes = {file: _scenarios(file) for file in folder.rglob("*.feature")}
    for file in sorted(sizes, key=lambda file: (-sizes[file], str(file))):
        lightest = weights.index(min(weights))
        parts[lightest].append(str(file))
        weights[lightest] += sizes[file]
    return [sorted(part) for part in parts]


def _scenarios(file: Path) -> int:
    feature = parse_file(str(file))
    return len(list(feature.walk_scenarios())) if feature else 0


def _together(parts: Sequence[Sequence[str]], first: int) -> list[tuple[int, str, Path]]:
    """Run each part in a process of its own, all at once: exit code, output, report."""
    evidence = Path(".evidence")
    running = []
    with ExitStack() as stack:
        for number, part in enumerate(parts, start=first):
            own = evidence / f"part-{number}"
            own.mkdir(parents=True, exist_ok=True)
            report, said = own / "report.json", own / "output.txt"
            report.unlink(missing_ok=True)
            command = [sys.executable, "-m", "harness", "-D", f"evidence={own}", *part]
            environment = {**os.environ, "HARNESS_REPORT": str(report)}
            with said.open("wb") as out:
                process = subprocess.Popen(
                    command, env=environment, stdout=out, stderr=subprocess.STDOUT
                )
            stack.callback(_end, process)
            running.append((process, said, report))
        ended = []
        for process, said, report in running:
            code, output = process.wait(), said.read_text(errors="replace")
            print(output, flush=True)
            ended.append((code, output, report))
    return ended


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
