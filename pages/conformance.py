"""docs/conformance.md: the 62 scenarios and the 45 behaviours, and what proves each.

Scenarios carry their numbers as tags, tests carry them in a marker.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from behave.model import ScenarioOutline
from behave.parser import parse_file

from pages import markdown

SCENARIOS = [f"t001-{number:02}" for number in range(1, 63)]

_MARKER = "behaviour"
_SENTENCE = re.compile(r"^- \*\*(B\d+\.\d+)\*\* (.+(?:\n  .+)*)$", re.MULTILINE)
_HOW = """
The specification is in `features/`, with at least one scenario for each number; further scenarios
are tagged `@beyond`. `python -m harness` runs them all against the installed
programs. A number without a proof fails the tests.
"""
_MISSING = "**missing**"


def page(root: Path) -> str:
    """The whole page, of the checkout at `root`."""
    scenarios = scenarios_in(root / "features")
    tests = tests_in(root / "tests")
    sentences = behaviours(root / "docs" / "reference" / "behaviours.md")
    return markdown.page(
        "Conformance",
        "`features/`, `tests/` and [the behaviours](reference/behaviours.md)",
        _HOW,
        f"## The {len(SCENARIOS)} scenarios",
        _summary(SCENARIOS, scenarios),
        markdown.table(
            ["number", "scenario", "feature", "tags"],
            [row for number in SCENARIOS for row in _scenario(number, scenarios, root)],
        ),
        f"## The {len(sentences)} behaviours",
        _summary(list(sentences), scenarios + tests),
        markdown.table(
            ["number", "behaviour", "proof"],
            [
                [number, sentence, _proven(_proving(number, scenarios + tests), root)]
                for number, sentence in sentences.items()
            ],
        ),
    )


def missing(numbers: list[str], found: list[Proof]) -> list[str]:
    """The numbers that nothing proves."""
    return [number for number in numbers if not _proving(number, found)]


def _summary(numbers: list[str], found: list[Proof]) -> str:
    without = missing(numbers, found)
    summary = f"{len(numbers) - len(without)} of {len(numbers)} have a proof."
    return f"{summary} Missing: {', '.join(without)}." if without else summary


def _scenario(number: str, scenarios: list[Proof], root: Path) -> list[list[str]]:
    rows = [
        [number, each.name, _link(each, root), " ".join(f"`@{tag}`" for tag in each.tags)]
        for each in _proving(number, scenarios)
    ]
    return rows or [[number, _MISSING, "", ""]]


def _proven(found: list[Proof], root: Path) -> str:
    return "; ".join(f"{_name(each)} ({_link(each, root)})" for each in found) or _MISSING


def _name(proof: Proof) -> str:
    """A scenario by its name, a test by its function's."""
    return proof.name if proof.file.suffix == ".feature" else markdown.code(proof.name)


def _link(proof: Proof, root: Path) -> str:
    path = proof.file.relative_to(root).as_posix()
    short = path.removeprefix("features/").removesuffix(".feature")
    return f"[{short}](../{path})"


@dataclass(frozen=True)
class Proof:
    """A scenario or a test; `tags` without those that only number it."""

    name: str
    file: Path
    numbers: frozenset[str]
    tags: tuple[str, ...]


def scenarios_in(features: Path) -> list[Proof]:
    """Every scenario, in the order of the files."""
    return [proof for file in sorted(features.rglob("*.feature")) for proof in _in_feature(file)]


def tests_in(folder: Path) -> list[Proof]:
    """Every test that has the marker."""
    return [proof for file in sorted(folder.rglob("test_*.py")) for proof in _in_tests(file)]


def behaviours(page: Path) -> dict[str, str]:
    """The sentences of docs/reference/behaviours.md by their numbers."""
    found = _SENTENCE.findall(page.read_text(encoding="utf-8"))
    return {number: " ".join(sentence.split()) for number, sentence in found}


def _proving(number: str, proofs: list[Proof]) -> list[Proof]:
    """Those that carry the number."""
    return [proof for proof in proofs if number in proof.numbers]


def _in_feature(file: Path) -> Iterator[Proof]:
    feature = parse_file(str(file))
    for scenario in feature.scenarios if feature else ():
        tags = {str(tag) for tag in scenario.effective_tags}
        if isinstance(scenario, ScenarioOutline):
            tags |= {str(tag) for each in scenario.examples for tag in each.tags}
        yield _proof(scenario.name, file, tags)


def _proof(name: str, file: Path, tags: set[str]) -> Proof:
    numbers = frozenset(tag for tag in tags if re.fullmatch(r"t001-\d\d|B\d+\.\d+", tag))
    others = tuple(sorted(tags - numbers))
    return Proof(name, file, numbers, others)


def _in_tests(file: Path) -> Iterator[Proof]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (found := _marked(node)):
            yield Proof(node.name, file, frozenset(found), ())


def _marked(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The numbers of `@pytest.mark.behaviour("B1.1", …)`."""
    calls = [each for each in function.decorator_list if isinstance(each, ast.Call)]
    return [
        str(argument.value)
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == _MARKER
        for argument in call.args
        if isinstance(argument, ast.Constant)
    ]
