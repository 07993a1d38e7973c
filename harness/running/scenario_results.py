"""What behave's JSON says about a scenario, as the reports want it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FINE = ("passed", "skipped", None)


@dataclass(frozen=True)
class StepOutcome:
    """`line` is the step as it is written; `status` is empty if it was never reached."""

    line: str
    text: str
    status: str
    took_s: float
    error: str


@dataclass(frozen=True)
class Outcome:
    """`reason` is why it was skipped or failed, `evidence` what its programs wrote."""

    file: str
    line: int
    name: str
    tags: Sequence[str]
    fingerprint: str
    status: str
    took_s: float
    reason: str
    steps: Sequence[StepOutcome]
    evidence: str


def outcomes(feature: dict[str, Any]) -> list[Outcome]:
    """Return those of its scenarios, in the order in which they ran."""
    elements = feature.get("elements", ())
    return [_outcome(each) for each in elements if each.get("type") == "scenario"]


def _outcome(element: dict[str, Any]) -> Outcome:
    file, _, line = element["location"].rpartition(":")
    steps = [_step(each) for each in element.get("steps", ())]
    return Outcome(
        file=file,
        line=int(line),
        name=element["name"],
        tags=element.get("tags", ()),
        fingerprint=element.get("fingerprint", ""),
        status=element.get("status") or "untested",
        took_s=element.get("duration", 0.0),
        reason=_reason(element, steps),
        steps=steps,
        evidence=_evidence(element.get("evidence")),
    )


def _step(step: dict[str, Any]) -> StepOutcome:
    result = step.get("result", {})
    text = step.get("text", "")
    lines = [text] if isinstance(text, str) else list(text)
    table = step.get("table")
    rows = [table["headings"], *table["rows"]] if table else []
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return StepOutcome(
        line=f"{step['keyword']} {step['name']}",
        text="\n".join(line for line in lines if line),
        status=result.get("status", ""),
        took_s=result.get("duration", 0.0),
        error="\n".join(result.get("error_message", ())),
    )


def _reason(element: dict[str, Any], steps: list[StepOutcome]) -> str:
    if element.get("skip_reason"):
        return str(element["skip_reason"])
    if element.get("status") in FINE:
        return ""
    failed = [f"{step.line}\n{step.error}" for step in steps if step.status not in (*FINE, "")]
    return "\n".join([*failed, *element.get("error_message", ())]) or str(element.get("status"))


def _evidence(folder: str | None) -> str:
    report = Path(folder) / "report.txt" if folder else None
    return report.read_text(errors="replace") if report and report.is_file() else ""
