"""Counts scenarios for the last line of a run. What did not pass, failed."""

from typing import Any

from behave.model import Feature
from behave.model_type import Status
from behave.reporter.base import Reporter

# Exit codes, as pytest has them.
BROKEN = 3
NOTHING_RAN = 5


class ScenarioCounts(Reporter):  # type: ignore[misc]  # behave has no types
    """Deselected scenarios don't count; those that this machine can't run count as skipped."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.passed = 0
        self.failed = 0
        self.switched_off: list[str] = []

    def feature(self, feature: Feature) -> None:
        for scenario in feature.walk_scenarios():
            if scenario.status == Status.passed:
                self.passed += 1
            elif scenario.status == Status.skipped:
                if scenario.skip_reason:
                    self.switched_off.append(scenario.skip_reason)
            elif not self.config.dry_run:  # also untested: behave was interrupted
                self.failed += 1

    @property
    def line(self) -> str:
        skipped = f", {len(self.switched_off)} skipped" if self.switched_off else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"

    def code(self, of_behave: int) -> int:
        """The exit code."""
        if getattr(self.config, "broken", False):
            return BROKEN
        if of_behave == 0 and not self.failed:
            return 0 if self.passed else NOTHING_RAN
        return 1
