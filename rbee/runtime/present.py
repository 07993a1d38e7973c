"""What a person reads, where several programs say the same. One renderer for all four."""

from __future__ import annotations

from rbee.contract.errors import RbeeError
from rbee.contract.events import Download


def explain(error: RbeeError) -> str:
    """What happened, and below it what to do next."""
    lines = [f"Error [{error.code}]: {error.message}"]
    if advice := error.advice:
        lines.append(f"→ {advice}")
    return "\n".join(lines)


def retrying(news: Download) -> str:
    """Why a download is tried again, and when."""
    delay = news.delay_ms or 0
    when = f"{delay} ms" if delay < 10_000 else f"{delay / 1000:.0f} s"
    return f"{news.reason}: attempt {news.attempt} of {news.attempts} in {when}"
