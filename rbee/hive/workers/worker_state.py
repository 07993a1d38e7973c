"""What to do about a worker, from what is known of it and the time. All times are seconds of one
monotonic clock."""

from __future__ import annotations

import signal
from typing import Literal, TypeAlias

import msgspec

from rbee.contract.workers import WorkerState

# What a native library dies of by its own doing. KILL is not among them: that is mostly the
# kernel's, short of memory.
_CRASHES = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE})

Verdict: TypeAlias = Literal["leave", "idle", "unhealthy", "stalled"]


class Limits(msgspec.Struct, frozen=True):
    """Seconds, and how many health checks in a row may fail before the worker is removed."""

    idle_timeout_s: float
    health_misses: int
    loading_stall_s: float


class Condition(msgspec.Struct, frozen=True):
    """`active_at` is when the last request ended, or the load; `progress_at` when loading last
    moved; `keep_alive_s` the last request's own wish, negative for "never end it"."""

    state: WorkerState
    active_at: float
    progress_at: float
    misses: int = 0
    keep_alive_s: float | None = None


def judge(condition: Condition, limits: Limits, now: float) -> Verdict:
    """Whether the worker may go on, else why it must end."""
    if condition.state == "loading":
        return "stalled" if now - condition.progress_at >= limits.loading_stall_s else "leave"
    if condition.misses >= limits.health_misses:
        return "unhealthy"
    wish = condition.keep_alive_s
    limit = limits.idle_timeout_s if wish is None else wish
    idle = condition.state == "idle" and limit >= 0
    return "idle" if idle and now - condition.active_at >= limit else "leave"


def broke_on_its_model(state: WorkerState, code: int) -> bool:
    """Whether a worker that ended with `code` (negative: a signal) died of the file that it was
    loading: some lies in a header abort llama.cpp."""
    return state == "loading" and -code in _CRASHES
