"""docs/conformance.md: the 62 scenarios, the 45 behaviours, what proves each, and whether it did.

What there is to prove comes from the features and the tests as they are now; what was proved comes
from the record of a run, `docs/conformance.json`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import conformance
from harness.conformance import Ran, Record
from pages import markdown
from pages.proofs import Proof, missing, proving, scenarios_in, tests_in

SCENARIOS = [f"t001-{number:02}" for number in range(1, 63)]

_SENTENCE = re.compile(r"^- \*\*(B\d+\.\d+)\*\* (.+(?:\n  .+)*)$", re.MULTILINE)
_HOW = """
The specification is in `features/`, with at least one scenario for each number; further scenarios
are tagged `@beyond`. `python -m harness` runs them all against the installed programs, and
`python -m harness.conformance` writes down what that run proved. A number is proven if everything
that carries it ran and passed, with the steps that it has now. A *saboteur* is a promise broken on
purpose (`python -m harness.saboteurs`). A number kills a saboteur if a scenario or a test that
carries the number was the first to notice it.
"""
_MISSING = "**missing**"
_NOBODY = "none"
PASSED, TWICE = "passed", "passed at the second look"
EMPTY, CHANGED, NOT_RUN = "empty", "changed since", "not run"


@dataclass(frozen=True)
class Verdicts:
    """What a record says about the proofs that there are now."""

    record: Record
    root: Path

    def of(self, proof: Proof, number: str | None = None) -> Counter[str]:
        """How many of its rows, or of those that carry the number, came to which end."""
        rows = [row for row in proof.rows if number is None or number in row.numbers]
        if not rows:
            return Counter([EMPTY])
        known = self.record.scenarios if proof.is_scenario else self.record.tests
        file = proof.file.relative_to(self.root).as_posix()
        ran = {each.name: each for each in known if each.file == file}
        ends = [_end(ran.get(row.name), row.fingerprint, proof.is_scenario) for row in rows]
        return Counter(ends)

    def against(self, number: str, proofs: list[Proof]) -> list[str]:
        """Why the number is not proven; nothing if it is."""
        found = proving(number, proofs)
        ends = sum((self.of(proof, number) for proof in found), Counter[str]())
        if not ends:
            return ["nothing carries it"]
        count = sum(ends.values())
        wrong = {each: ends[each] for each in ends if each not in (PASSED, TWICE)}
        return [f"{n} of {count} {each}" if count > 1 else each for each, n in wrong.items()]

    def saboteurs(self, number: str) -> list[str]:
        """The broken promises that were noticed and would have disproved the number."""
        return [
            each.name for each in self.record.saboteurs if each.caught and number in each.proves
        ]


def _end(ran: Ran | None, fingerprint: str, is_scenario: bool) -> str:
    if is_scenario and not fingerprint:
        return EMPTY
    if ran is None:
        return NOT_RUN
    if ran.fingerprint != fingerprint:
        return CHANGED
    if ran.result == conformance.SWITCHED_OFF:
        return f"{ran.result} ({ran.why})"
    return TWICE if ran.result == PASSED and ran.twice else ran.result


def page(root: Path) -> str:
    """The whole page, of the checkout at `root`."""
    verdicts = Verdicts(conformance.read(root / conformance.RECORD), root)
    scenarios = scenarios_in(root / "features")
    proofs = scenarios + tests_in(root / "tests")
    sentences = behaviours(root / "docs" / "reference" / "behaviours.md")
    return markdown.page(
        "Conformance",
        "`features/`, `tests/`, [the behaviours](reference/behaviours.md) and the record of a run,"
        " `docs/conformance.json`,",
        _HOW,
        "## The run",
        _run(verdicts.record),
        _apart(verdicts.record),
        f"## The {len(SCENARIOS)} scenarios",
        _summary(SCENARIOS, scenarios, verdicts),
        markdown.table(
            ["number", "scenario", "feature", "tags", "in the run", "saboteurs caught"],
            [row for number in SCENARIOS for row in _scenario(number, scenarios, verdicts)],
        ),
        f"## The {len(sentences)} behaviours",
        _summary(list(sentences), proofs, verdicts),
        markdown.table(
            ["number", "behaviour", "proof", "saboteurs caught"],
            [
                [
                    number,
                    sentence,
                    "; ".join(_proof(each, number, verdicts) for each in proving(number, proofs))
                    or _MISSING,
                    _saboteurs(number, verdicts),
                ]
                for number, sentence in sentences.items()
            ],
        ),
    )


def behaviours(page: Path) -> dict[str, str]:
    """The sentences of docs/reference/behaviours.md by their numbers."""
    found = _SENTENCE.findall(page.read_text(encoding="utf-8"))
    return {number: " ".join(sentence.split()) for number, sentence in found}


def _run(record: Record) -> str:
    if not record.run:
        return "There is no record of a run."
    run = dict(record.run)
    results = ", ".join(f"{count} {result}" for result, count in run.pop("results").items())
    rows = [[key.replace("_", " "), str(value)] for key, value in run.items()]
    caught = sum(each.caught for each in record.saboteurs)
    rows += [
        ["scenarios", results],
        ["tests with a number", str(len(record.tests))],
        ["saboteurs", f"{caught} of {len(record.saboteurs)} caught"],
    ]
    return markdown.table(["", ""], rows)


def _apart(record: Record) -> str:
    """What did not simply pass."""
    off = Counter(each.why for each in record.scenarios if each.result == conformance.SWITCHED_OFF)
    lines = [f"Switched off, {count}: {why}." for why, count in sorted(off.items())]
    lines += [
        f"Looked at twice: {each.name} ({each.file}), which {each.result} at the second look."
        for each in record.scenarios
        if each.twice
    ]
    lines += [
        f"Failed: {each.name} ({each.file})."
        for each in [*record.scenarios, *record.tests]
        if each.result == conformance.FAILED
    ]
    return "\n".join(f"- {line}" for line in lines)


def _summary(numbers: list[str], found: list[Proof], verdicts: Verdicts) -> str:
    without = missing(numbers, found)
    summary = f"{len(numbers) - len(without)} of {len(numbers)} have a proof."
    if without:
        summary += f" Missing: {', '.join(without)}."
    if not verdicts.record.run:
        return summary
    against = {number: verdicts.against(number, found) for number in numbers}
    open_ = [f"- {number}: {', '.join(why)}" for number, why in against.items() if why]
    unseen = [number for number in numbers if not verdicts.saboteurs(number)]
    lines = [summary, f"{len(numbers) - len(open_)} of {len(numbers)} were proven in the run."]
    if open_:
        lines += ["Not proven:\n" + "\n".join(open_)]
    told = f"For {len(numbers) - len(unseen)} of {len(numbers)} a saboteur was caught."
    lines.append(told + (f" None for {', '.join(unseen)}." if unseen else ""))
    return "\n\n".join(lines)


def _scenario(number: str, scenarios: list[Proof], verdicts: Verdicts) -> list[list[str]]:
    found = proving(number, scenarios)
    rows = [
        [
            number,
            each.name,
            _link(each, verdicts.root),
            " ".join(f"`@{tag}`" for tag in each.tags),
            _told(verdicts.of(each, number)),
            _saboteurs(number, verdicts) if each is found[0] else "",
        ]
        for each in found
    ]
    return rows or [[number, _MISSING, "", "", "", ""]]


def _proof(proof: Proof, number: str, verdicts: Verdicts) -> str:
    """A scenario by its name, a test by its function's."""
    name = proof.name if proof.is_scenario else markdown.code(proof.name)
    return f"{name} ({_link(proof, verdicts.root)}): {_told(verdicts.of(proof, number))}"


def _told(ends: Counter[str]) -> str:
    if sum(ends.values()) == 1:
        return next(iter(ends))
    return ", ".join(f"{count} {end}" for end, count in ends.items())


def _saboteurs(number: str, verdicts: Verdicts) -> str:
    return _listed(verdicts.saboteurs(number))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(markdown.code(name) for name in names) or _NOBODY


def _link(proof: Proof, root: Path) -> str:
    path = proof.file.relative_to(root).as_posix()
    short = path.removeprefix("features/").removesuffix(".feature")
    return f"[{short}](../{path})"
