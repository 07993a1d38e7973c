"""Reads the table, and compares it with the steps, the features and the reference pages."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from behave.model import Scenario, Step
from behave.parser import parse_file
from behave.runner_util import load_step_modules
from behave.step_registry import registry

from harness.promises.written import REFERENCE, Field, Use, documents

TREE = Path(__file__).parents[2]
_SCENARIO = "scenario: "
_PARAMETER = re.compile(r"\{+\w+(:\w)?\}+")
_ANY_WORDS = re.compile(r'^standard \{output:w\}|"\{(words|text)\}"$')
KINDS = ("messages", "errors", "settings", "flags", "http")
_WRITTEN = ("messages", "errors", "settings")  # features write these by their names


@dataclass(frozen=True)
class Promise:
    """`by` is a step as steps/ have it, or the beginning of a scenario's name; "" is nobody, and
    then `why` is the reason."""

    kind: str
    of: str
    value: str
    by: str = ""
    why: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.of}: {self.value}"


def load() -> list[Promise]:
    return [promise for kind in KINDS for promise in _load(kind)]


def _load(kind: str) -> Iterator[Promise]:
    table = tomllib.loads((Path(__file__).parent / f"{kind}.toml").read_text())
    for row in [*table.get("compared", ()), *table.get("uncompared", ())]:
        for value in row["values"]:
            yield Promise(kind, row["of"], value, row.get("by", ""), row.get("why", ""))


class Specification:
    """The steps that exist, and the scenarios with the steps that they use."""

    def __init__(self) -> None:
        load_step_modules([str(TREE / "steps")])
        self.steps = {each.pattern for group in registry.steps.values() for each in group}
        self._known: dict[tuple[str, str], tuple[str, dict[str, str]]] = {}
        self._fields: dict[str, set[Field]] = {}

    @cached_property
    def scenarios(self) -> list[Scenario]:
        files = sorted((TREE / "features").rglob("*.feature"))
        found = [feature for file in files if (feature := parse_file(str(file)))]
        return [scenario for feature in found for scenario in feature.walk_scenarios()]

    @cached_property
    def uses(self) -> dict[str, list[Use]]:
        """Every use of every step, by its pattern."""
        found: dict[str, list[Use]] = {}
        for scenario in self.scenarios:
            code = ""
            for step in scenario.all_steps:
                pattern, values = self._matched(step)
                code = values.get("code", code)
                found.setdefault(pattern, []).append(Use(step, values, code))
        return found

    def _matched(self, step: Step) -> tuple[str, dict[str, str]]:
        """The pattern that it has, and its values; "" if there is none."""
        key = step.step_type, step.name
        if key not in self._known:
            match = registry.find_step_definition(step)
            given = match.match(step.name).arguments if match else ()
            values = {each.name: each.original for each in given}
            self._known[key] = (match.pattern if match else "", values)
        return self._known[key]

    def fault(self, by: str) -> str:
        """Return what is wrong with the place that a promise names; "" if nothing is."""
        if by.startswith(_SCENARIO):
            beginning = by.removeprefix(_SCENARIO)
            there = any(each.name.startswith(beginning) for each in self.scenarios)
            return "" if there else f"there is no scenario {beginning!r}"
        if by not in self.steps:
            return f"there is no step {by!r}"
        return "" if by in self.uses else f"no scenario uses the step {by!r}"

    def doubt(self, promise: Promise) -> str:
        """Return why the step can't be believed to compare the value; "" if it can. It is there."""
        uses = self.uses.get(promise.by, [])
        if promise.value in re.findall(r"\w+", _PARAMETER.sub("", promise.by)):
            return ""
        if _ANY_WORDS.search(promise.by):
            named = any(promise.value in use.step.name for use in uses)
            return "" if named else f"{promise.by!r} compares any words: name the scenario"
        if promise.kind in _WRITTEN and any(use.is_written for use in uses):
            shown = self._shown(promise.by)
            there = (promise.of, promise.value) in shown or ("", promise.value) in shown
            return "" if there else f"{promise.by!r} never has it with a value"
        return ""

    def _shown(self, by: str) -> set[Field]:
        """What the features write down for a step to compare, all uses together."""
        if by not in self._fields:
            self._fields[by] = {field for use in self.uses[by] for field in use.fields()}
        return self._fields[by]


def complaints(promises: Sequence[Promise], specification: Specification) -> list[str]:
    """Return what is wrong with the table: places that are not there, values that nobody compares
    for no reason, and what is promised in the reference pages but not in the table, or the other
    way round."""
    found = []
    for promise in promises:
        fault = promise.by and (specification.fault(promise.by) or specification.doubt(promise))
        if fault:
            found.append(f"{promise}: {fault}")
        if bool(promise.by) == bool(promise.why):
            found.append(f"{promise}: either a step compares it, or there is a reason why none can")
    seen = [(each.kind, each.of, each.value) for each in promises]
    found += [f"{kind}: {of}: {value} stands twice" for kind, of, value in _twice(seen)]
    for kind, documented in documented_promises().items():
        own = {(each.of, each.value) for each in promises if each.kind == kind}
        if kind == "flags":
            own = {("", value) for _, value in own}
        found += [f"{kind}: {' '.join(each)} is not in the table" for each in documented - own]
        found += [f"{kind}: {' '.join(each)} is not documented" for each in own - documented]
    return sorted(found)


def _twice(seen: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return sorted({each for each in seen if seen.count(each) > 1})


def documented_promises() -> dict[str, set[tuple[str, str]]]:
    """Return what the reference pages promise: owner and value by kind."""
    return {
        "messages": set(_messages()),
        "errors": set(_errors()),
        "settings": set(_settings()),
        "flags": set(_flags()),
    }


def _messages() -> Iterator[tuple[str, str]]:
    for document in documents().values():
        for name, schema in document["components"]["schemas"].items():
            for field in schema.get("properties", {}):
                yield name, field


def _errors() -> Iterator[tuple[str, str]]:
    page = (REFERENCE / "errors.md").read_text()
    for code, text in re.findall(r"^## ([A-Z_]+)\n(.*?)(?=^## |\Z)", page, re.M | re.S):
        listed = re.search(r"Details: (.*?)\.$", text, re.M)
        for key in re.findall(r"`(\w+)`", listed[1] if listed else ""):
            yield code, key


def _settings() -> Iterator[tuple[str, str]]:
    page = (REFERENCE / "settings.md").read_text()
    for section, text in re.findall(r"^## \[(.+?)\]\n(.*?)(?=^## |\Z)", page, re.M | re.S):
        for key in re.findall(r"^\| `(\w+)`", text, re.M):
            yield section, key


def _flags() -> Iterator[tuple[str, str]]:
    page = (REFERENCE / "command-line.md").read_text()
    for cell in re.findall(r"^\| (`--[^|]+)", page, re.M):
        for flag in re.findall(r"`(--[\w-]+)", cell):
            yield "", flag


def undocumented_routes(routes: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the routes that only the table or only the OpenAPI documents have."""
    documented = set()
    for daemon, document in documents().items():
        for path, methods in document["paths"].items():
            documented |= {(daemon, f"{method.upper()} {path}") for method in methods}
    return documented ^ set(routes)
