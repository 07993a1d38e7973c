"""An error as a person reads it. One renderer for all four programs."""

from __future__ import annotations

from rbee.contract.errors import RbeeError


def explain(error: RbeeError) -> str:
    """What happened, and below it what to do next."""
    lines = [f"Error [{error.code}]: {error.message}"]
    if advice := error.advice:
        lines.append(f"→ {advice}")
    return "\n".join(lines)
