"""The attack in small: five hundred requests, and the cases that take a moment, in every run.

`python -m harness.attack` sends ten thousand by night, and runs every case.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.attack.__main__ import main
from harness.attack.attack import FUZZER, Plan, attack
from harness.attack.cases import all_cases

_REQUESTS = 500


@pytest.mark.timeout(300)
def test_the_installed_programs_hold(tmp_path: Path) -> None:
    cases = tuple(case for case in all_cases() if not case.own and not case.slow)
    plan = Plan(
        seed=17, requests=_REQUESTS, seconds=240, cases=cases, foreign=False, evidence=tmp_path
    )
    results = list(attack(plan))
    faults = {result.case: result.faults[:3] for result in results if not result.held}
    assert faults == {}
    assert [result.case for result in results] == [
        FUZZER,
        *(case.name for case in cases),
        "the end",
    ]
    assert results[0].requests >= _REQUESTS
    assert list(tmp_path.iterdir()) == []


def test_every_case_has_a_name_and_says_what_the_attacker_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    names = [line.partition(": ")[0] for line in listed]
    assert len(set(names)) == len(names) == len(all_cases())
    assert all(len(line.partition(": ")[2]) > 30 for line in listed), listed


def test_a_case_that_does_not_exist_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--case", "nothing"]) == 2
    assert "There is no case nothing" in capsys.readouterr().err


def test_a_case_without_time_has_not_held(tmp_path: Path) -> None:
    [case] = [case for case in all_cases() if case.name == "an open umask"]
    [result] = attack(Plan(17, 0, -1, (case,), False, tmp_path))
    assert result.faults == ["no time was left for it"]
