"""A finding of the doctor, and the report of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

State = Literal["ok", "warning", "problem"]
_SIGNS: dict[State, str] = {"ok": "✓", "warning": "!", "problem": "✗"}


class Finding(msgspec.Struct, frozen=True):
    """What one check came to. `advice` is what to type, one command per line."""

    name: str
    state: State
    said: str
    advice: list[str] = []


class Report(msgspec.Struct, frozen=True):
    """All findings, and how many of them need something done."""

    findings: list[Finding]
    problems: int
    warnings: int

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Report:
        states = [finding.state for finding in findings]
        return cls(list(findings), states.count("problem"), states.count("warning"))

    def text(self) -> str:
        """A line for each finding, what to type below it, and the counts."""
        lines = []
        for each in self.findings:
            lines.append(f"{_SIGNS[each.state]} {_one_line(each.name)}: {_one_line(each.said)}")
            lines += [f"  → {_one_line(command)}" for command in each.advice]
        counts = f"{_count(self.problems, 'problem')}, {_count(self.warnings, 'warning')}"
        return "\n".join([*lines, counts])


def fine(name: str, said: str) -> Finding:
    return Finding(name, "ok", said)


def warning(name: str, said: str, *advice: str | None) -> Finding:
    return Finding(name, "warning", said, [each for each in advice if each])


def problem(name: str, said: str, *advice: str | None) -> Finding:
    return Finding(name, "problem", said, [each for each in advice if each])


def _one_line(said: str) -> str:
    """Another program may have said it in several lines."""
    return "; ".join(line.strip() for line in said.splitlines() if line.strip())


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
