"""`python -m harness.conformance`: what the last run of everything proved, as data to be committed.

It reads what runs left in `.evidence`, and writes `docs/conformance.json`, from which
`python -m pages` makes a page:

    run.json, report.json   of `python -m harness`: a run of the whole specification
    tests.xml               of `pytest --junitxml=.evidence/tests.xml`: tests with a number
    saboteurs.jsonl         of `python -m harness.saboteurs`: breaks as they are now

A scenario is known by its feature and name, wherever it stands, and by a fingerprint of its steps.
"""

import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from harness.running.parts import EVIDENCE
from harness.running.scenario_results import Outcome, outcomes
from harness.saboteurs.breaks import Break, load

RECORD = Path("docs") / "conformance.json"
PASSED, SWITCHED_OFF, FAILED = "passed", "switched off", "failed"
_NUMBER = re.compile(r"t001-\d\d|B\d+\.\d+")


@dataclass(frozen=True)
class Ran:
    """A scenario or a test in the run. `why` is the reason for which it was switched off; `twice`
    says that it failed beside others, and `result` is that of the second look."""

    file: str
    name: str
    result: str
    numbers: Sequence[str] = ()
    fingerprint: str = ""
    why: str = ""
    twice: bool = False


@dataclass(frozen=True)
class Broken:
    """A broken promise, whether and by whom it was noticed, and the numbers that the scenario or
    the test carries which noticed it. `key` is that of the break as it was run."""

    name: str
    caught: bool
    proves: Sequence[str] = ()
    by: str = ""
    key: str = ""


@dataclass(frozen=True)
class Record:
    """`run` is what `run_facts` says; empty if there was no run."""

    run: Mapping[str, Any] = field(default_factory=dict)
    scenarios: Sequence[Ran] = ()
    tests: Sequence[Ran] = ()
    saboteurs: Sequence[Broken] = ()


def read(file: Path) -> Record:
    """Read a record; an empty one if there is no file."""
    if not file.exists():
        return Record()
    data = json.loads(file.read_text(encoding="utf-8"))
    return Record(
        data["run"],
        [Ran(**row) for row in data["scenarios"]],
        [Ran(**row) for row in data["tests"]],
        [Broken(**row) for row in data["saboteurs"]],
    )


def text(record: Record) -> str:
    """The record as JSON, with a line for each thing, so that a change is easy to read."""
    groups: dict[str, Sequence[Ran | Broken]] = {
        "scenarios": record.scenarios,
        "tests": record.tests,
        "saboteurs": record.saboteurs,
    }
    parts = [f'"run": {json.dumps(record.run)}']
    for name, rows in groups.items():
        lines = ",\n".join(json.dumps(_short(asdict(row)), ensure_ascii=False) for row in rows)
        parts.append(f'"{name}": [\n{lines}\n]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """Without what is as by default."""
    return {key: value for key, value in row.items() if value or key == "caught"}


def collect(evidence: Path) -> Record:
    """Return what the runs left; AssertionError if the last one was not of everything."""
    report = (evidence / "report.json").read_bytes()
    run = json.loads((evidence / "run.json").read_text(encoding="utf-8"))
    known = run.pop("report_sha256")
    assert known == hashlib.sha256(report).hexdigest(), "report.json is of another run"
    assert run.pop("whole"), f"the last run was not of everything: {run['arguments']}"
    scenarios = _scenarios(json.loads(report))
    tests = list(_tests(evidence / "tests.xml"))
    return Record(
        {**run, "results": Counter(each.result for each in scenarios)},
        scenarios,
        tests,
        list(_saboteurs(evidence / "saboteurs.jsonl", [*scenarios, *tests])),
    )


def _scenarios(features: list[dict[str, Any]]) -> list[Ran]:
    looks: dict[tuple[str, str], list[Outcome]] = {}
    for feature in features:
        for outcome in outcomes(feature):
            looks.setdefault((outcome.file, outcome.name), []).append(outcome)
    return [_ran(looks[key]) for key in sorted(looks)]


def _ran(looks: Sequence[Outcome]) -> Ran:
    last = looks[-1]
    skipped = last.status == "skipped"
    return Ran(
        file=last.file,
        name=last.name,
        numbers=[tag for tag in last.tags if _NUMBER.fullmatch(tag)],
        result=PASSED if last.status == "passed" else SWITCHED_OFF if skipped else FAILED,
        fingerprint=last.fingerprint,
        why=last.reason if skipped else "",
        twice=len(looks) > 1,
    )


def _tests(file: Path) -> Iterator[Ran]:
    """Those that carry a number: tests/conftest.py writes it into pytest's report."""
    if not file.exists():
        return
    cases: dict[tuple[str, str], list[ElementTree.Element]] = {}
    for case in ElementTree.parse(file).iter("testcase"):
        path = case.get("classname", "").replace(".", "/") + ".py"
        name, _, _ = case.get("name", "").partition("[")
        cases.setdefault((path, name), []).append(case)
    for (path, name), group in sorted(cases.items()):
        numbers = {each.get("value", "") for case in group for each in case.iter("property")}
        ends = {end.tag for case in group for end in case}
        result = FAILED if ends & {"failure", "error"} else PASSED
        if numbers:
            result = SWITCHED_OFF if "skipped" in ends else result
            yield Ran(path, name, result, sorted(numbers))


def _saboteurs(file: Path, ran: Sequence[Ran]) -> Iterator[Broken]:
    """The last result of each break, here or in the record that there is, if the break and what it
    breaks are still the same."""
    rows = {each.key: (each.caught, each.by) for each in read(RECORD).saboteurs}
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    for row in map(json.loads, lines):
        if row["verdict"] != "broken":
            rows[row["key"]] = row["verdict"] == "caught", row["by"]
    for each in load():
        if each.key in rows:
            caught, by = rows[each.key]
            proves = {
                number
                for one in ran
                if caught and _noticed(one, each, by)
                for number in one.numbers
            }
            name, why = f"{each.group}/{each.name}", by if caught else each.survives
            yield Broken(name, caught, sorted(proves), why, each.key)


def _noticed(ran: Ran, broken: Break, by: str) -> bool:
    """Whether it is the one that noticed: a scenario and its step, or a test and how it failed."""
    if not any(Path(ran.file).is_relative_to(name) for name in broken.features):
        return False
    return re.match(rf"{re.escape(ran.name)}(: |\[| - |$)", by) is not None


def main() -> int:
    try:
        record = collect(EVIDENCE)
    except (OSError, AssertionError) as error:
        print(f"no run to write down: {error}", file=sys.stderr)
        return 1
    RECORD.write_text(text(record), encoding="utf-8")
    told = ", ".join(f"{count} {result}" for result, count in record.run["results"].items())
    caught = sum(each.caught for each in record.saboteurs)
    print(f"{RECORD}: {told}; {len(record.tests)} tests with a number; {caught} breaks caught")
    return 0


if __name__ == "__main__":
    sys.exit(main())
