"""The steps of this tree have no findings, and steps that are wrong have."""

from pathlib import Path

import pytest

from harness.running.step_lint import findings
from harness.running.step_sources import read

HEAD = """
from behave import given, then, when


@when("it is started")
def start(context):
    context.run = context.world.start("x")


@then("it ends")
def ends(context):
    assert context.run.wait(5) == 0

"""
BAD = {
    "nothing is asserted": """
@then("it is so")
def so(context):
    context.seen = helper(context)


def helper(context):
    return context.world
""",
    "no upper bound: took": """
@then("it is so")
def so(context):
    took = context.run.took
    assert took >= 5, took
""",
    "both may be None": """
@then("it is so")
def so(context):
    assert context.row.get("a") == context.other.get("b")
""",
    "still runs": """
@then("it is so")
def so(context):
    assert context.run.stdout.text == "a"
""",
    "nobody says 'zzz-never'": """
@then("it is so")
def so(context):
    assert "zzz-never" not in context.text
""",
    "no scenario uses this step: it is otherwise": """
@then("it is otherwise")
def otherwise(context):
    assert not context.row
""",
    "only negative steps use strange_things": """
from harness.watching import strange_things


@then("there is nothing, and it is so")
def so(context):
    assert not strange_things(context.world)
""",
}
GOOD = """
@then("it is so")
def so(context):
    took = context.run.took
    assert 5 <= took < 6, took
"""


def lint(tmp_path: Path, step: str) -> list[str]:
    """In a tree of its own: a scenario that starts something, looks at it, and waits for it."""
    text = "there is nothing, and it is so" if "there is nothing" in step else "it is so"
    steps = {"steps/some_steps.py": HEAD + step}
    steps["harness/watching.py"] = "def strange_things(world):\n    return []\n"
    steps["features/a.feature"] = (
        "Feature: One\n  Scenario: Two\n    When it is started\n"
        f"    Then {text if text in step else 'it ends'}\n    And it ends\n"
    )
    for name, content in steps.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
    return list(findings(read(tmp_path)))


@pytest.mark.parametrize("finding", BAD)
def test_a_step_that_believes_too_much(finding: str, tmp_path: Path) -> None:
    found = lint(tmp_path, BAD[finding])
    assert len(found) == 1, found
    assert finding in found[0]


def test_a_good_step(tmp_path: Path) -> None:
    assert lint(tmp_path, GOOD) == []


def test_no_findings_here() -> None:
    assert list(findings(read())) == []
