"""Programs from npm: what is fetched by night is tried by night."""

from pathlib import Path

from harness.npm_programs import PROGRAMS

_NIGHTLY = Path(__file__).parents[2] / ".github" / "workflows" / "nightly.yml"


def test_each_program_is_fetched_before_its_scenarios_run() -> None:
    steps = [line.strip() for line in _NIGHTLY.read_text(encoding="utf-8").splitlines()]
    fetching = steps.index("- run: python -m harness.npm_programs")
    [running] = [at for at, step in enumerate(steps) if 'python -m harness --tags "@cl' in step]
    assert fetching < running
    for name in PROGRAMS:
        assert f"@{name}" in steps[running].replace('"', " ").split(), name
