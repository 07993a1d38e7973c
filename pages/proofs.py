"""What proves the specification's numbers: scenarios by their tags, tests by their marker."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from behave.model import ScenarioOutline
from behave.parser import parse_file

SCENARIOS = [f"t001-{number:02}" for number in range(1, 63)]

_MARKER = "behaviour"
_SENTENCE = re.compile(r"^- \*\*(B\d+\.\d+)\*\* (.+(?:\n  .+)*)$", re.MULTILINE)


@dataclass(frozen=True)
class Proof:
    """A scenario or a test; `tags` without those that only number it."""

    name: str
    file: Path
    numbers: frozenset[str]
    tags: tuple[str, ...]


def scenarios(features: Path) -> list[Proof]:
    """Every scenario, in the order of the files."""
    return [proof for file in sorted(features.rglob("*.feature")) for proof in _in_feature(file)]


def tests(folder: Path) -> list[Proof]:
    """Every test that has the marker."""
    return [proof for file in sorted(folder.rglob("test_*.py")) for proof in _in_tests(file)]


def behaviours(page: Path) -> dict[str, str]:
    """The sentences of docs/reference/behaviours.md by their numbers."""
    found = _SENTENCE.findall(page.read_text(encoding="utf-8"))
    return {number: " ".join(sentence.split()) for number, sentence in found}


def of(number: str, proofs: list[Proof]) -> list[Proof]:
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
