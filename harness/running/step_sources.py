"""The steps as they are written: their patterns and code, and which scenario uses which."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import parse
from behave.model import Scenario
from behave.parser import parse_file

TREE = Path(__file__).parents[2]
_KINDS = ("given", "when", "then", "step")


@dataclass(frozen=True)
class Function:
    """A function or method, with the names of what it calls."""

    tree: Path
    file: Path
    node: ast.FunctionDef
    calls: frozenset[str]

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def place(self) -> str:
        return self.line(self.node)

    def line(self, part: ast.AST) -> str:
        """The place of a part of it."""
        return f"{self.file.relative_to(self.tree)}:{getattr(part, 'lineno', 0)}"


@dataclass(frozen=True)
class StepFunction:
    """`patterns` by their kind: given, when, then."""

    function: Function
    patterns: tuple[tuple[str, str], ...]

    @property
    def is_then(self) -> bool:
        return any(kind == "then" for kind, _ in self.patterns)


@dataclass(frozen=True)
class Use:
    """A step of a scenario, and the values that its pattern takes from the text."""

    step: StepFunction
    text: str
    values: dict[str, object]


@dataclass
class Steps:
    """Everything below steps/ and harness/ of a tree, and every scenario as its steps."""

    tree: Path
    steps: list[StepFunction] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    scenarios: dict[str, list[Use]] = field(default_factory=dict)


def read(tree: Path = TREE) -> Steps:
    found = Steps(tree)
    for folder in ("steps", "harness"):
        for file in sorted((tree / folder).rglob("*.py")):
            for function in _functions(tree, file):
                found.functions.append(function)
                patterns = tuple(_patterns(function.node)) if folder == "steps" else ()
                if patterns:
                    found.steps.append(StepFunction(function, patterns))
    lookup = _Lookup(found.steps)
    for file in sorted((tree / "features").rglob("*.feature")):
        feature = parse_file(str(file))
        for scenario in feature.walk_scenarios() if feature else ():
            place = f"{file.relative_to(tree)}:{scenario.line}"
            found.scenarios[place] = list(lookup.uses(scenario))
    return found


def _functions(tree: Path, file: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield Function(tree, file, node, frozenset(called(node)))


def called(node: ast.AST) -> Iterator[str]:
    """The last name of everything that is called, or passed on to be called."""
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.Attribute):
            yield each.attr


def _patterns(node: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    for each in node.decorator_list:
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name):
            (pattern,) = each.args
            if each.func.id in _KINDS and isinstance(pattern, ast.Constant):
                yield each.func.id, str(pattern.value)


class _Lookup:
    """Finds the step of a text, as behave does."""

    def __init__(self, steps: list[StepFunction]) -> None:
        self._patterns = [
            (kind, pattern.partition("{")[0].lower(), parse.compile(pattern), step)
            for step in steps
            for kind, pattern in step.patterns
        ]
        self._known: dict[tuple[str, str], Use | None] = {}

    def uses(self, scenario: Scenario) -> Iterator[Use]:
        for each in scenario.all_steps:
            key = each.step_type, each.name
            if key not in self._known:
                self._known[key] = self._find(*key)
            use = self._known[key]
            if use is not None:
                yield use

    def _find(self, kind: str, text: str) -> Use | None:
        for known, beginning, pattern, step in self._patterns:
            if known in (kind, "step") and text.lower().startswith(beginning):
                match = pattern.parse(text)
                if match:
                    return Use(step, text, dict(match.named))
        return None
