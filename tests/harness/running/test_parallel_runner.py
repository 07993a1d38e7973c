"""A run of the whole specification reports every failure, and no accident passes for a proof."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from behave.parser import parse_feature

from harness.running.shared_features import shuffle

ROOT = Path(__file__).parents[3]
AGAIN = "looked at twice"
STEPS = """
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from behave import step

@step("it passes")
def passes(context): pass

@step("it fails")
def fails(context): assert False, "it never passes"

@step("it passes by itself")
def by_itself(context):
    folder = Path(str(context.config.userdata["evidence"]))
    assert folder.name == "second-look", "disturbed"

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

@step("it runs another")
def runs_another(context):
    subprocess.run([sys.executable, "-m", "harness", "features/two.feature"], check=True)

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
        tag = "@alone\n" if name == "alone" else ""
        text = f"{tag}Feature: {name}\n" + "".join(scenarios)
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


def test_no_part_is_without_a_feature(tmp_path: Path) -> None:
    done = run(tmp_path, one="passes", two="passes")
    assert (done.returncode, last_line(done)) == (0, "2 passed, 0 failed"), done.stdout
    parts = [path.name for path in (tmp_path / ".evidence").iterdir() if path.is_dir()]
    assert sorted(parts) == ["part-1", "part-2"]


def test_a_scenario_that_fails_beside_others_is_looked_at_twice(tmp_path: Path) -> None:
    done = run(tmp_path, one="passes\npasses by itself", two="passes")
    assert done.returncode == 0, done.stdout
    assert last_line(done) == "2 passed, 0 failed, 1 looked at twice"
    assert "failed: features/one.feature:4  one 1 " in done.stdout
    assert "    Given it passes by itself\n    ASSERT FAILED: disturbed" in done.stdout
    told = "looked at twice: features/one.feature:4 failed beside others, then passed by itself\n"
    assert told in done.stdout


def test_a_scenario_that_fails_again_by_itself_has_failed(tmp_path: Path) -> None:
    done = run(tmp_path, one="passes\nfails", two="passes")
    assert (done.returncode, last_line(done)) == (1, "2 passed, 1 failed"), done.stdout
    told = "features/one.feature:4 failed beside others, then failed by itself as well\n"
    assert told in done.stdout


@pytest.mark.parametrize("two", ["passes by itself", "raises"])
def test_two_failures_are_not_an_accident(tmp_path: Path, two: str) -> None:
    done = run(tmp_path, one="passes by itself", two=f"passes\n{two}")
    assert (done.returncode, last_line(done)) == (1, "1 passed, 2 failed"), done.stdout
    assert AGAIN not in done.stdout


def test_a_failure_of_a_scenario_that_ran_alone_is_not_an_accident(tmp_path: Path) -> None:
    done = run(tmp_path, one="passes", alone="passes by itself")
    assert (done.returncode, last_line(done)) == (1, "1 passed, 1 failed"), done.stdout
    assert AGAIN not in done.stdout


def test_a_part_that_dies_has_failed(tmp_path: Path) -> None:
    done = run(tmp_path, one="dies", two="passes", three="passes by itself")
    assert done.returncode == 1
    assert AGAIN not in done.stdout


def test_a_part_that_is_interrupted_has_failed(tmp_path: Path) -> None:
    done = run(tmp_path, one="passes\nis broken off\npasses")
    assert (done.returncode, last_line(done)) == (1, "1 passed, 2 failed"), done.stdout
    assert AGAIN not in done.stdout


@pytest.mark.parametrize("line", ["raises", "leaves something", "is nowhere defined"])
def test_only_a_failed_assertion_is_run_again(tmp_path: Path, line: str) -> None:
    done = run(tmp_path, one=f"passes\n{line}", two="passes")
    assert (done.returncode, last_line(done)) == (1, "2 passed, 1 failed"), done.stdout
    assert "features/one.feature:4" in done.stdout
    assert AGAIN not in done.stdout


def test_a_failing_hook_at_the_end_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, one="passes by itself\nspoils the end", two="passes")
    assert done.returncode == 1, done.stdout
    assert AGAIN not in done.stdout


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


def test_the_results_of_other_runs_are_kept(tmp_path: Path) -> None:
    results = tmp_path / ".evidence" / "saboteurs.jsonl"
    results.parent.mkdir()
    results.write_text("{}\n")
    run(tmp_path, one="passes")
    assert results.read_text() == "{}\n"


def order_of(folder: Path) -> list[str]:
    """The names of the scenarios, as the parts ran them."""
    report = json.loads((folder / ".evidence" / "report.json").read_text())
    return [each["name"] for feature in report for each in feature["elements"]]


@pytest.fixture
def in_order(tmp_path: Path) -> list[str]:
    run(tmp_path, "--order", "1", "features", one="passes\n" * 20)
    return order_of(tmp_path)


def test_scenarios_run_in_an_order_that_its_seed_repeats(
    tmp_path: Path, in_order: list[str]
) -> None:
    written = [f"one {number}" for number in range(20)]
    assert in_order != written
    assert sorted(in_order) == sorted(written)
    for seed, same in (("1", True), ("2", False)):
        again = tmp_path / seed
        again.mkdir()
        done = run(again, f"--order={seed}", one="passes\n" * 20)
        assert last_line(done) == "20 passed, 0 failed", done.stdout
        assert (order_of(again) == in_order) is same


def test_rows_of_an_outline_are_shuffled_too() -> None:
    rows = "".join(f"      | {number} |\n" for number in range(20))
    text = "Feature: A\n  Scenario Outline: <n>\n    Given it passes\n    Examples:\n      | n |\n"
    feature = parse_feature(text + rows, filename="a.feature")
    before = [each.name for each in feature.walk_scenarios()]
    shuffle(feature, "1")
    after = [each.name for each in feature.walk_scenarios()]
    assert after != before
    assert sorted(after) == sorted(before)


def test_each_feature_alone_is_a_run_of_its_own(tmp_path: Path) -> None:
    done = run(tmp_path, "--each-alone", one="passes\nfails", two="passes", alone="passes")
    assert (done.returncode, last_line(done)) == (1, "3 passed, 1 failed"), done.stdout
    folders = {path.name for path in (tmp_path / ".evidence").iterdir() if path.is_dir()}
    assert folders == {"features-one", "features-two", "features-alone", "alone-1", "second-look"}


def test_a_run_leaves_its_reports(tmp_path: Path) -> None:
    run(tmp_path, one="passes\nraises", two="passes")
    left = tmp_path / ".evidence"
    about = json.loads((left / "run.json").read_text())
    assert (about["whole"], about["arguments"]) == (True, "features")
    suites = ElementTree.parse(left / "junit.xml").getroot()
    assert [(suite.get("name"), suite.get("errors")) for suite in suites] in (
        [("one", "1"), ("two", "0")],
        [("two", "0"), ("one", "1")],
    )
    page = (left / "report.html").read_text()
    assert "ValueError: never seen" in page


def test_a_narrow_run_says_that_it_was_not_of_everything(tmp_path: Path) -> None:
    run(tmp_path, "features/one.feature", one="passes", two="passes")
    left = tmp_path / ".evidence"
    about = json.loads((left / "run.json").read_text())
    assert (about["whole"], about["arguments"]) == (False, "features/one.feature")
    assert len(json.loads((left / "report.json").read_text())) == 1


def test_two_narrow_runs_at_once_do_not_write_into_one_another(tmp_path: Path) -> None:
    longer = "\n".join(["passes"] * 9)
    done = run(tmp_path, "features/one.feature", one="passes\nruns another\npasses", two=longer)
    assert (done.returncode, last_line(done)) == (0, "3 passed, 0 failed"), done.stderr
    (feature,) = json.loads((tmp_path / ".evidence" / "report.json").read_text())
    assert len(feature["elements"]) == 3


def test_userdata_reaches_every_part_of_a_whole_run(tmp_path: Path) -> None:
    done = run(tmp_path, "-D", "spoiled=yes", one="passes", two="passes")
    assert done.returncode == 1, done.stdout
    assert "HOOK-ERROR in after_all" in done.stdout
    about = json.loads((tmp_path / ".evidence" / "run.json").read_text())
    assert (about["whole"], about["arguments"]) == (True, "-D spoiled=yes features")


def test_an_order_and_a_tag_do_not_go_together(tmp_path: Path) -> None:
    done = run(tmp_path, "--order", "1", "--tags", "@x", one="passes")
    assert done.returncode != 0
    assert "go with a folder only" in done.stderr
