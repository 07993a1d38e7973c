"""What proves a number: scenarios carry it as a tag, tests carry it in a marker."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from behave.model import ScenarioOutline
from behave.parser import parse_file

from harness.running.json_report import fingerprint

_MARKER = "behaviour"
_NUMBER = re.compile(r"t001-\d\d|B\d+\.\d+")


@dataclass(frozen=True)
class Row:
    """What is run: a scenario, a row of an outline, or a test."""

    name: str
    numbers: frozenset[str]
    fingerprint: str = ""


@dataclass(frozen=True)
class Proof:
    """A scenario, an outline or a test; `tags` without those that only number it."""

    name: str
    file: Path
    numbers: frozenset[str]
    tags: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def is_scenario(self) -> bool:
        return self.file.suffix == ".feature"


def scenarios_in(features: Path) -> list[Proof]:
    """Every scenario, in the order of the files."""
    return [proof for file in sorted(features.rglob("*.feature")) for proof in _in_feature(file)]


def tests_in(folder: Path) -> list[Proof]:
    """Every test that has the marker."""
    return [proof for file in sorted(folder.rglob("test_*.py")) for proof in _in_tests(file)]


def proving(number: str, proofs: list[Proof]) -> list[Proof]:
    """Those that carry the number."""
    return [proof for proof in proofs if number in proof.numbers]


def missing(numbers: list[str], found: list[Proof]) -> list[str]:
    """The numbers that nothing proves."""
    return [number for number in numbers if not proving(number, found)]


def _in_feature(file: Path) -> Iterator[Proof]:
    feature = parse_file(str(file))
    for scenario in feature.scenarios if feature else ():
        tags = {str(tag) for tag in scenario.effective_tags}
        scenarios = [scenario]
        if isinstance(scenario, ScenarioOutline):
            tags |= {str(tag) for each in scenario.examples for tag in each.tags}
            scenarios = scenario.scenarios
        rows = tuple(
            Row(each.name, _numbers({str(tag) for tag in each.effective_tags}), fingerprint(each))
            for each in scenarios
        )
        others = tuple(sorted(tags - _numbers(tags)))
        yield Proof(scenario.name, file, _numbers(tags), others, rows)


def _numbers(tags: set[str]) -> frozenset[str]:
    return frozenset(tag for tag in tags if _NUMBER.fullmatch(tag))


def _in_tests(file: Path) -> Iterator[Proof]:
    text = file.read_text(encoding="utf-8")
    if f"mark.{_MARKER}(" not in text:  # to parse them all would take a second
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (found := _marked(node)):
            numbers = frozenset(found)
            yield Proof(node.name, file, numbers, (), (Row(node.name, numbers),))


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
