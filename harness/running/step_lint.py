"""`python -m harness.running.step_lint`: steps that can't fail, or that believe too much.

It reads the code of steps/ and harness/ and the scenarios, and runs nothing. Exit code 1 if it
finds something.
"""

import ast
import re
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from harness.running.step_sources import Function, StepFunction, Steps, Use, called, read

_NEGATIVE = re.compile(r"\b(no|not|nothing|never|neither|nobody|none|without)\b")
_ONE_SIDED = re.compile(r"at least|\bmore\b|longer than|growing|grow from|most of|newer|fails")
_MEASURED = re.compile(r"speed|rate|took|_ms|_mb|bytes|seconds|size|sum")
_OUTPUTS = ("stdout", "stderr")
_RUNS = ("run", "queen_run", "hive_run", "worker_run")
_WAITS = ("wait", "wait_until", "wait_for", "wait_for_end", "wait_for_close", "first", "ready")
_OF_PYTHON = {"Traceback", "\r"}


def main() -> int:
    found = list(findings(read()))
    for line in found:
        print(line)
    print(f"{len(found)} findings")
    return 1 if found else 0


def findings(steps: Steps) -> Iterator[str]:
    """Return each with its place."""
    yield from _unused(steps)
    yield from _without_assertion(steps)
    yield from _read_too_early(steps)
    yield from _one_sided(steps)
    yield from _none_is_none(steps)
    yield from _vacuous(steps)
    yield from _negative_only(steps)


def _unused(steps: Steps) -> Iterator[str]:
    used = {id(use.step) for uses in steps.scenarios.values() for use in uses}
    for step in steps.steps:
        if id(step) not in used:
            yield f"{step.function.place}: no scenario uses this step: {step.patterns[0][1]}"


def _without_assertion(steps: Steps) -> Iterator[str]:
    """Every Then asserts or raises, itself or in what it calls."""
    asserting = _that_assert(steps.functions)
    for step in steps.steps:
        if step.is_then and not _asserts(step.function) and not step.function.calls & asserting:
            yield f"{step.function.place}: nothing is asserted: {step.patterns[0][1]}"


def _that_assert(functions: list[Function]) -> set[str]:
    """Names of functions that assert something; with the same name, all of them do."""
    by_name: dict[str, list[Function]] = {}
    for function in functions:
        by_name.setdefault(function.name, []).append(function)
    found: set[str] = set()
    while True:
        new = {
            name
            for name, same in by_name.items()
            if name not in found and all(_asserts(each) or each.calls & found for each in same)
        }
        if not new:
            return found
        found |= new


def _asserts(function: Function) -> bool:
    return any(isinstance(each, ast.Assert | ast.Raise) for each in ast.walk(function.node))


# Output that is read while its program may still write


def _read_too_early(steps: Steps) -> Iterator[str]:
    """In the order of each scenario's steps: a started program is waited for before its output is
    read at one moment, or the step waits for the output itself."""
    helpers = {(each.file, each.name): each for each in steps.functions}
    seen = set()
    for place, uses in steps.scenarios.items():
        running: set[str] = set()
        for use in uses:
            body = list(_with_helpers(use.step.function, helpers))
            started = set(chain.from_iterable(map(_started, body)))
            waited = set(chain.from_iterable(map(_waited, body)))
            read_now = set(chain.from_iterable(map(_read_at_once, body)))
            if waited & read_now or not started:
                running -= waited
            if any(_waits_for_output(each) for each in body):
                read_now = set()
            for name in sorted(read_now & running - waited):
                finding = f"{use.step.function.place}: context.{name} still runs: {use.text}"
                if finding not in seen:
                    seen.add(finding)
                    yield f"{finding} ({place})"
            running = (running | started) - waited


def _with_helpers(
    function: Function, helpers: dict[tuple[Path, str], Function]
) -> Iterator[ast.FunctionDef]:
    """The function, and those of its own module that it calls."""
    known, waiting = {function.name}, [function]
    while waiting:
        each = waiting.pop()
        yield each.node
        names = {node.id for node in ast.walk(each.node) if isinstance(node, ast.Name)}
        for name in names - known:
            if (each.file, name) in helpers:
                known.add(name)
                waiting.append(helpers[each.file, name])


def _run_of(node: ast.AST) -> str | None:
    """`run` of `context.run`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id == "context" and node.attr in _RUNS else None
    return None


def _started(node: ast.FunctionDef) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Call):
            yield from filter(None, map(_run_of, each.targets))


def _waited(node: ast.FunctionDef) -> Iterator[str]:
    """Runs whose end is waited for."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute):
            name = _run_of(each.func.value)
            if each.func.attr == "wait" and name:
                yield name


def _read_at_once(node: ast.AST) -> Iterator[str]:
    """Runs whose output is read outside a function that is called again and again. The message of
    an assertion does not count."""
    for each in _outside_lambdas(node):
        if isinstance(each, ast.Attribute) and each.attr == "text":
            value = each.value
            if isinstance(value, ast.Attribute) and value.attr in _OUTPUTS:
                name = _run_of(value.value)
                if name:
                    yield name


def _waits_for_output(node: ast.FunctionDef) -> bool:
    return any(
        isinstance(each, ast.Call) and _last_name(each.func) in ("wait_until", "wait_for")
        for each in ast.walk(node)
    )


def _outside_lambdas(node: ast.AST) -> Iterator[ast.AST]:
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.Lambda):
            continue
        if isinstance(each, ast.FunctionDef) and _is_looked_at(node, each.name):
            continue
        if isinstance(each, ast.Assert):
            yield from _outside_lambdas_of(each.test)
            continue
        yield from _outside_lambdas_of(each)


def _outside_lambdas_of(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    yield from _outside_lambdas(node)


def _is_looked_at(node: ast.AST, name: str) -> bool:
    """Whether a nested function is passed to something that waits."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and _last_name(each.func) in _WAITS:
            words = [arg.id for arg in each.args if isinstance(arg, ast.Name)]
            if name in words:
                return True
    return False


def _last_name(node: ast.AST) -> str:
    return getattr(node, "attr", "") or getattr(node, "id", "")


# Bounds


def _one_sided(steps: Steps) -> Iterator[str]:
    """A number that only has to be large enough, though the step's text does not say so. To have
    enough of something of which more is asserted is no bound."""
    for step in steps.steps:
        if not step.is_then or any(_ONE_SIDED.search(text) for _, text in step.patterns):
            continue
        node = step.function.node
        given = {each.arg for each in node.args.args}
        asserts = [each for each in ast.walk(node) if isinstance(each, ast.Assert)]
        bounds = [(each, *pair) for each in asserts for pair in _bounds(each.test)]
        upper = {ast.unparse(small) for _, small, _ in bounds}
        for each, small, large in bounds:
            what = ast.unparse(large)
            if what in upper or _is_limit(large, given) or _is_enough(large, node):
                continue
            if _is_limit(small, given) and not _only_asks_for_some(small, what):
                place = f"{step.function.line(each)}"
                yield f"{place}: no upper bound: {what}"


def _is_limit(side: ast.expr, given: set[str]) -> bool:
    """Whether it is made of numbers, of values from the step's text, and of constants."""
    parts = list(ast.walk(side))
    if any(isinstance(each, ast.Attribute | ast.Subscript | ast.Call) for each in parts):
        return False
    names = [each.id for each in parts if isinstance(each, ast.Name)]
    return all(name in given or name.isupper() for name in names)


def _only_asks_for_some(small: ast.expr, what: str) -> bool:
    """More than no count: it must exist. A measured value that is more than 0 is not enough."""
    some = isinstance(small, ast.Constant) and small.value == 0
    return some and not _MEASURED.search(what)


def _is_enough(large: ast.expr, node: ast.FunctionDef) -> bool:
    """Whether it is the size of something that the step also looks at in other ways: there must be
    enough of it for that."""
    if not (isinstance(large, ast.Call) and _last_name(large.func) == "len"):
        return False
    names = {each.id for each in ast.walk(large) if isinstance(each, ast.Name)} - {"len", "set"}
    return any(
        sum(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node)) >= 4
        for name in names
    )


def _bounds(test: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Each comparison of numbers as smaller and larger. The condition of a comprehension chooses
    and bounds nothing; nor does one that compares for equality too."""
    conditions = {
        id(part)
        for each in ast.walk(test)
        if isinstance(each, ast.comprehension)
        for condition in each.ifs
        for part in ast.walk(condition)
    }
    for each in ast.walk(test):
        if not isinstance(each, ast.Compare) or id(each) in conditions:
            continue
        if any(isinstance(operator, ast.Eq) for operator in each.ops):
            continue
        sides = [each.left, *each.comparators]
        if any(isinstance(side, ast.Set) or _is_a_set(side) for side in sides):
            continue
        for operator, left, right in zip(each.ops, sides, sides[1:], strict=False):
            if isinstance(operator, ast.Lt | ast.LtE):
                yield left, right
            elif isinstance(operator, ast.Gt | ast.GtE):
                yield right, left


def _is_a_set(side: ast.expr) -> bool:
    text = ast.unparse(side)
    return text.startswith(("set(", "{")) or text in ("names", "_CHECKED")


def _none_is_none(steps: Steps) -> Iterator[str]:
    """Two values that may both be missing."""
    for step in steps.steps:
        for each in ast.walk(step.function.node):
            if isinstance(each, ast.Compare) and isinstance(each.ops[0], ast.Eq | ast.Is):
                sides = [each.left, each.comparators[0]]
                if all(_may_be_none(side) for side in sides):
                    text = ast.unparse(each)
                    place = f"{step.function.line(each)}"
                    yield f"{place}: both may be None: {text}"


def _may_be_none(side: ast.expr) -> bool:
    return (
        isinstance(side, ast.Call)
        and isinstance(side.func, ast.Attribute)
        and side.func.attr == "get"
        and len(side.args) == 1
    )


# Absence


def _vacuous(steps: Steps) -> Iterator[str]:
    """Words that must be absent are words that somebody says: they are in rbee/, or another step
    wants them. If their wording changes, this is noticed."""
    said = "\n".join(
        file.read_text(encoding="utf-8") for file in sorted((steps.tree / "rbee").rglob("*.py"))
    )
    wanted = _wanted(steps)
    done = set()
    for place, uses in steps.scenarios.items():
        for use in uses:
            for words in _absent(use):
                if words in _OF_PYTHON or words.lower() in said.lower() or words in wanted:
                    continue
                if (use.text, words) not in done:
                    done.add((use.text, words))
                    yield f"{place}: nobody says {words!r}, so that this can't fail: {use.text}"


def _wanted(steps: Steps) -> set[str]:
    """The texts that steps want to be there."""
    found: set[str] = set()
    for step in steps.steps:
        for each in ast.walk(step.function.node):
            if isinstance(each, ast.Compare) and isinstance(each.left, ast.Constant):
                found |= {str(each.left.value)} if isinstance(each.ops[0], ast.In) else set()
    for uses in steps.scenarios.values():
        for use in uses:
            if not _NEGATIVE.search(use.step.patterns[0][1]):
                found |= {value for value in use.values.values() if isinstance(value, str)}
    return found


def _negative_only(steps: Steps) -> Iterator[str]:
    """What a step finds nothing with finds something in another step, in the harness, or in a test
    of it."""
    positive = {"pytest"}
    for step in steps.steps:
        if not _is_negative(step):
            positive |= step.function.calls
    for function in steps.functions:
        if function.file.is_relative_to(steps.tree / "harness"):
            positive |= function.calls - {function.name}
    for file in (steps.tree / "tests" / "harness").rglob("test_*.py"):
        positive |= set(called(ast.parse(file.read_text(encoding="utf-8"))))
    known = {function.name for function in steps.functions}
    for step in steps.steps:
        alone = (step.function.calls & known) - positive - {step.function.name}
        if _is_negative(step) and alone:
            place, names = step.function.place, ", ".join(sorted(alone))
            yield f"{place}: only negative steps use {names}: {step.patterns[0][1]}"


def _is_negative(step: StepFunction) -> bool:
    """Whether it only asserts that there is nothing."""
    asserts = [each.test for each in ast.walk(step.function.node) if isinstance(each, ast.Assert)]
    negative = step.is_then and _NEGATIVE.search(step.patterns[0][1])
    return bool(negative and asserts and all(_is_empty(test) for test in asserts))


def _is_empty(test: ast.expr) -> bool:
    """`not x`, or `x == []`."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return True
    return isinstance(test, ast.Compare) and ast.unparse(test.comparators[0]) in ("[]", "0", "''")


def _absent(use: Use) -> Iterator[str]:
    """Constants, and values from the step's text, that are asserted not to be in something."""
    for each in ast.walk(use.step.function.node):
        if isinstance(each, ast.Compare) and isinstance(each.ops[0], ast.NotIn):
            yield from _texts(each.left, use)


def _texts(node: ast.expr, use: Use) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name) and isinstance(use.values.get(node.id), str):
        yield str(use.values[node.id])


if __name__ == "__main__":
    sys.exit(main())
