"""A run of the whole specification reports every failure, and no accident passes for a proof."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STEPS = """
import os
import signal
from pathlib import Path
from behave import step

@step("it passes")
def passes(context): pass

@step("it fails")
def fails(context): assert False, "it never passes"

@step("it passes by itself")
def by_itself(context):
    folder = Path(str(context.config.userdata["evidence"]))
    assert folder.name == "part-6", "disturbed"

@step("it dies")
def dies(context): os._exit(3)

@step("it is broken off")
def broken_off(context):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    os.kill(os.getpid(), signal.SIGINT)

@step("it raises")
def raises(context): raise ValueError("never seen")

@step("it leaves something")
def leaves(context): context.left = True

@step("it spoils the end")
def spoils(context): context.config.userdata["spoiled"] = "yes"
"""
ENVIRONMENT = """
def after_scenario(context, scenario):
    assert not hasattr(context, "left"), "a leak"

def after_all(context):
    assert "spoiled" not in context.config.userdata, "spoiled"
"""


def run(folder: Path, *arguments: str, **features: str) -> subprocess.CompletedProcess[str]:
    (folder / "steps").mkdir()
    (folder / "steps" / "all_steps.py").write_text(STEPS)
    (folder / "environment.py").write_text(ENVIRONMENT)
    (folder / "behave.ini").write_text("[behave]\npaths = features\n")
    (folder / "features").mkdir()
    for name, lines in features.items():
        scenarios = [
            f"  Scenario: {name} {number}\n    Given it {line}\n"
            for number, line in enumerate(lines.splitlines())
        ]
        text = f"Feature: {name}\n" + "".join(scenarios)
        (folder / "features" / f"{name}.feature").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[-1]


def test_each_feature_runs_once(tmp_path: Path) -> None:
    done = run(tmp_path, one="passes", two="passes\npasses", three="passes", four="passes")
    assert (done.returncode, last_line(done)) == (0, "5 passed, 0 failed"), done.stdout


def test_a_scenario_that_fails_beside_others_is_run_again_by_itself(tmp_path: Path) -> None:
    done = run(tmp_path, one="passes\npasses by itself", two="passes")
    assert (done.returncode, last_line(done)) == (0, "3 passed, 0 failed"), done.stdout
    assert "failed: features/one.feature:4  one 1 " in done.stdout
    assert "    Given it passes by itself\n    ASSERT FAILED: disturbed" in done.stdout
    assert "run again by itself, it passed: features/one.feature:4" in done.stdout
    assert "1 of those that passed did so by itself" in done.stdout


def test_a_scenario_that_fails_again_by_itself_has_failed(tmp_path: Path) -> None:
    done = run(tmp_path, one="passes\npasses by itself\nfails", two="passes")
    assert (done.returncode, last_line(done)) == (1, "3 passed, 1 failed"), done.stdout
    assert "run again by itself, it failed: features/one.feature:6" in done.stdout


def test_many_failures_are_not_an_accident(tmp_path: Path) -> None:
    done = run(tmp_path, one="passes by itself\n" * 4, two="passes")
    assert (done.returncode, last_line(done)) == (1, "1 passed, 4 failed"), done.stdout
    assert "run again" not in done.stdout


def test_a_part_that_dies_has_failed(tmp_path: Path) -> None:
    done = run(tmp_path, one="dies", two="passes", three="passes by itself")
    assert done.returncode == 1
    assert "run again" not in done.stdout


def test_a_part_that_is_interrupted_has_failed(tmp_path: Path) -> None:
    done = run(tmp_path, one="passes\nis broken off\npasses")
    assert (done.returncode, last_line(done)) == (1, "1 passed, 2 failed"), done.stdout
    assert "run again" not in done.stdout


@pytest.mark.parametrize("line", ["raises", "leaves something", "is nowhere defined"])
def test_only_a_failed_assertion_is_run_again(tmp_path: Path, line: str) -> None:
    done = run(tmp_path, one=f"passes\n{line}", two="passes")
    assert (done.returncode, last_line(done)) == (1, "2 passed, 1 failed"), done.stdout
    assert "features/one.feature:4" in done.stdout
    assert "run again" not in done.stdout


def test_a_failing_hook_at_the_end_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, one="passes by itself\nspoils the end", two="passes")
    assert done.returncode == 1, done.stdout
    assert "run again" not in done.stdout


def test_a_specification_without_scenarios_fails(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.returncode, last_line(done)) == (1, "0 passed, 0 failed"), done.stdout


def test_the_evidence_of_an_earlier_run_is_removed(tmp_path: Path) -> None:
    old = tmp_path / ".evidence" / "part-6"
    old.mkdir(parents=True)
    run(tmp_path, one="passes")
    assert not old.exists()


def test_a_tag_that_selects_nothing_fails(tmp_path: Path) -> None:
    done = run(tmp_path, "--tags", "@nowhere", one="passes")
    assert (done.returncode, last_line(done)) == (5, "0 passed, 0 failed"), done.stdout
