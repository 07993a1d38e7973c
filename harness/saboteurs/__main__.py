"""`python -m harness.saboteurs [--group G …] [--name N …] [--proves NUMBER] [--sample N] [--again]`

Runs the scenarios of each break against programs with that break, `--jobs` at once, and prints who
noticed. `.evidence/saboteurs.jsonl` keeps the results, so that a run that was interrupted goes on
where it stopped; what docs/conformance.json has is not run again either. Exit code 1 if a break
survives for which the catalogue gives no reason.

With `--canaries`, whole programs are bad: see canaries.py.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.running.scenario_counts import NOTHING_RAN
from harness.running.scenario_results import outcomes
from harness.saboteurs import canaries
from harness.saboteurs.breaks import TREE, Break, load
from harness.saboteurs.installation import install

RESULTS = TREE / ".evidence" / "saboteurs.jsonl"
# Made by harness/conformance.py.
_RECORD = TREE / "docs" / "conformance.json"
_LONGEST_S = 600
_CAUGHT, _SURVIVED, _BROKEN, _OFF = "caught", "survived", "broken", "off"
_FAILED = ("failed", "error", "hook_error")
# -P: not with this tree's rbee, which is not broken.
_PYTEST = ("-P", "-m", "pytest", "-p", "no:cacheprovider", "--exitfirst", "--no-header")
_FAILED_TEST = re.compile(r"^FAILED \S+?::(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """`verdict` is caught, survived, off: this machine can't run a scenario that might have
    noticed, or broken: the run itself went wrong. `by` is the first scenario that failed and its
    step, or why it is another verdict."""

    key: str
    group: str
    name: str
    verdict: str
    by: str
    took_s: float


def main(words: Sequence[str]) -> int:
    options = _options(words)
    if options.canaries:
        return canaries.main(options)
    breaks = load(options.group)
    if options.name:
        breaks = [each for each in breaks if each.name in options.name]
    if options.proves:
        breaks = [each for each in breaks if any(n.startswith(options.proves) for n in each.proves)]
    if options.sample:
        breaks = random.Random(options.seed).sample(breaks, min(options.sample, len(breaks)))
    assert breaks, "no such break"
    known = {} if options.again else _known()
    with tempfile.TemporaryDirectory(prefix="rbee-saboteurs-") as models:

        def judge(each: Break) -> Result:
            result = known.get(each.key) or _judge(each, Path(models))
            print(f"{result.verdict:9}{result.took_s:6.1f} s  {each.group}/{each.name}", end="")
            print(f"  {result.by}" if result.verdict != _CAUGHT or options.verbose else "")
            sys.stdout.flush()
            return result

        with ThreadPoolExecutor(options.jobs) as pool:
            results = list(pool.map(judge, breaks))
    return _sum_up(breaks, results)


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m harness.saboteurs", description=__doc__)
    parser.add_argument("--group", action="append", default=[])
    parser.add_argument("--name", action="append", default=[])
    parser.add_argument("--proves", help="those against a number that begins so: t001, B2.1")
    parser.add_argument("--sample", type=int, help="this many of them, by --seed")
    parser.add_argument("--seed", default="rbee")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", action="store_true", help="also those with a result")
    parser.add_argument("--canaries", action="store_true", help="bad programs (canaries.py)")
    parser.add_argument("--all", action="store_true", help="canaries: every scenario")
    parser.add_argument("--verbose", action="store_true", help="tell who caught it")
    return parser.parse_args(words)


def _known() -> dict[str, Result]:
    """What was caught here, or stands so in the record, by its keys. The rest is run again."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    rows = [Result(**json.loads(line)) for line in lines]
    for each in json.loads(_RECORD.read_text())["saboteurs"]:
        if each["caught"] and "key" in each:
            group, _, name = each["name"].partition("/")
            rows.append(Result(each["key"], group, name, _CAUGHT, each["by"], 0))
    return {row.key: row for row in rows if row.verdict == _CAUGHT}


def _judge(each: Break, models: Path) -> Result:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"rbee-{each.name}-") as scratch:
        python = install(Path(scratch))
        each.apply(Path(scratch) / "tree")
        report = Path(scratch) / "report.json"
        if each.is_for_tests:
            command = [*_PYTEST, "-k", " or ".join(each.scenarios), *each.features]
        else:
            names = [word for name in each.scenarios for word in ("--name", re.escape(name))]
            command = ["-m", "harness", "--stop", "--no-color", *names, *each.features]
            command += ["-D", f"models={models}", "-D", f"evidence={scratch}/evidence"]
        environment = {**os.environ, "HARNESS_REPORT": str(report)}
        try:
            ran = subprocess.run(
                [python, *command],
                cwd=TREE,
                env=environment,
                capture_output=True,
                timeout=_LONGEST_S,
            )
            verdict, by = _verdict_of_tests(ran) if each.is_for_tests else _verdict(ran, report)
        except subprocess.TimeoutExpired:
            verdict, by = _BROKEN, f"it did not end within {_LONGEST_S} s"
    took = time.monotonic() - began
    result = Result(each.key, each.group, each.name, verdict, by, round(took, 1))
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps(asdict(result)) + "\n")
    return result


def _verdict(ran: subprocess.CompletedProcess[bytes], report: Path) -> tuple[str, str]:
    output = (ran.stdout + ran.stderr).decode(errors="replace")
    found = []
    if report.exists():
        found = [each for feature in json.loads(report.read_text()) for each in outcomes(feature)]
    for outcome in found:
        if outcome.status in _FAILED:
            lines = [step.line for step in outcome.steps if step.status in _FAILED]
            return _CAUGHT, f"{outcome.name}: {lines[0] if lines else 'at its end'}"
    reasons = [each.reason for each in found if each.status == "skipped" and each.reason]
    if ran.returncode in (0, NOTHING_RAN) and reasons:
        return _OFF, reasons[0]
    if ran.returncode == 0:
        return _SURVIVED, "no scenario noticed"
    return _BROKEN, output[-2000:]


def _verdict_of_tests(ran: subprocess.CompletedProcess[bytes]) -> tuple[str, str]:
    output = (ran.stdout + ran.stderr).decode(errors="replace")
    if ran.returncode == 0:
        return _SURVIVED, "no test noticed"
    failed = _FAILED_TEST.search(output)
    return (_CAUGHT, failed[1]) if failed else (_BROKEN, output[-2000:])


def _sum_up(breaks: Sequence[Break], results: Sequence[Result]) -> int:
    pairs = list(zip(breaks, results, strict=True))
    survivors = [each for each, result in pairs if result.verdict == _SURVIVED]
    broken = [each for each, result in pairs if result.verdict == _BROKEN]
    off = [each for each, result in pairs if result.verdict == _OFF]
    caught = len(pairs) - len(survivors) - len(broken) - len(off)
    accepted = [each for each in survivors if each.survives]
    for each in survivors:
        print(f"survived: {each.group}/{each.name}: {each.survives or each.promise}")
    counts = f"{len(accepted)} accepted, {len(off)} switched off, {len(broken)} broken"
    print(f"{caught} of {len(pairs)} caught, {counts}")
    return 0 if len(accepted) == len(survivors) and not broken else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
