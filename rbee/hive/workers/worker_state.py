"""What to do about a worker, from what is known of it and the time. All times are seconds of one
monotonic clock."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from rbee.contract.workers import WorkerState

Verdict: TypeAlias = Literal["keep", "idle", "failing", "unhealthy", "stalled"]


class Limits(msgspec.Struct, frozen=True):
    """Seconds, and how many health checks in a row may fail before the worker is ended."""

    idle_timeout_s: float
    health_misses: int
    loading_stall_s: float


class Observation(msgspec.Struct, frozen=True):
    """`active_at` is when the last request ended, or the load; `progress_at` when loading last
    progressed; `keep_alive_s` what the last request asked for, negative for "never end it"."""

    state: WorkerState
    active_at: float
    progress_at: float
    misses: int = 0
    keep_alive_s: float | None = None


def judge(seen: Observation, limits: Limits, now: float) -> Verdict:
    """Whether to keep the worker, otherwise why it must end."""
    if seen.state == "loading":
        return "stalled" if now - seen.progress_at >= limits.loading_stall_s else "keep"
    if seen.misses >= limits.health_misses:
        return "unhealthy"
    if seen.state == "unhealthy":
        return "failing"
    limit = limits.idle_timeout_s if seen.keep_alive_s is None else seen.keep_alive_s
    idle = seen.state == "idle" and limit >= 0
    return "idle" if idle and now - seen.active_at >= limit else "keep"
