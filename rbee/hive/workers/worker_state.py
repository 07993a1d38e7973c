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
    left = remaining_s(seen.keep_alive_s, limits, now - seen.active_at)
    return "idle" if seen.state == "idle" and left == 0 else "keep"


def remaining_s(keep_alive_s: float | None, limits: Limits, idle_s: float) -> float | None:
    """How long a worker that has been idle for `idle_s` may stay so; None means for ever."""
    limit = limits.idle_timeout_s if keep_alive_s is None else keep_alive_s
    return max(0.0, limit - idle_s) if limit >= 0 else None
