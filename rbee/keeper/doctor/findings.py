"""One thing that was looked at, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

State = Literal["ok", "warning", "problem"]
_SIGNS: dict[State, str] = {"ok": "✓", "warning": "!", "problem": "✗"}


class Finding(msgspec.Struct, frozen=True):
    """`advice` is what to type, a line each."""

    name: str
    state: State
    said: str
    advice: list[str] = []


class Diagnosis(msgspec.Struct, frozen=True):
    """All of them, and how many want something done."""

    findings: list[Finding]
    problems: int
    warnings: int

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Diagnosis:
        states = [finding.state for finding in findings]
        return cls(list(findings), states.count("problem"), states.count("warning"))

    def told(self) -> str:
        """A line for each, below it what to type; and the count."""
        lines = []
        for each in self.findings:
            lines.append(f"{_SIGNS[each.state]} {each.name}: {_on_one_line(each.said)}")
            lines += [f"  → {step}" for step in each.advice]
        counts = f"{_count(self.problems, 'problem')}, {_count(self.warnings, 'warning')}"
        return "\n".join([*lines, counts])


def fine(name: str, said: str) -> Finding:
    return Finding(name, "ok", said)


def warning(name: str, said: str, *advice: str | None) -> Finding:
    return Finding(name, "warning", said, [each for each in advice if each])


def problem(name: str, said: str, *advice: str | None) -> Finding:
    return Finding(name, "problem", said, [each for each in advice if each])


def _on_one_line(said: str) -> str:
    """Also what a program has said in several."""
    return "; ".join(line.strip() for line in said.splitlines() if line.strip())


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
