"""behave's JSON report, with what the pages about a run need besides."""

import hashlib
import json
from typing import Any

from behave.formatter.json import JSONFormatter
from behave.model import Scenario, Step


class JsonReport(JSONFormatter):  # type: ignore[misc]  # behave has no types
    """A scenario also has all its tags, its fingerprint, how long it took, and, if it was skipped
    or failed, why, and where its evidence lies. A step that raised an error has its message."""

    name = "json"

    def scenario(self, scenario: Scenario) -> None:
        super().scenario(scenario)
        element = self.current_feature_element
        element["tags"] = sorted(str(tag) for tag in scenario.effective_tags)
        element["fingerprint"] = fingerprint(scenario)

    def result(self, step: Step) -> None:
        place = self._step_index
        super().result(step)
        if step.error_message:
            found = self.current_feature_element["steps"][place]["result"]
            found["error_message"] = step.error_message.splitlines()

    def finish_current_scenario(self) -> None:
        super().finish_current_scenario()
        scenario = self.current_scenario
        if scenario:
            more = {
                "duration": scenario.duration,
                "skip_reason": scenario.skip_reason,
                "error_message": (getattr(scenario, "error_message", None) or "").splitlines(),
                "evidence": getattr(scenario, "evidence", None),
            }
            self.current_feature_element.update(
                {key: value for key, value in more.items() if value}
            )


def fingerprint(scenario: Scenario) -> str:
    """Return what changes with the scenario's steps, but not with the place where it stands. A
    scenario without steps has none."""
    steps = [_essence(step) for step in scenario.all_steps]
    return hashlib.sha256(json.dumps(steps).encode()).hexdigest()[:12] if steps else ""


def _essence(step: Step) -> list[Any]:
    rows = [list(step.table.headings), *map(list, step.table.rows)] if step.table else []
    return [step.step_type, step.name, str(step.text or ""), rows]
