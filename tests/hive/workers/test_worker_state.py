"""What to do about a worker: the borders of idle, unhealthy and stalled."""

from __future__ import annotations

import msgspec
import pytest

from rbee.hive.workers.worker_state import Limits, Observation, judge, remaining_s

LIMITS = Limits(idle_timeout_s=300, health_misses=3, loading_stall_s=120)
IDLE = Observation("idle", active_at=1000.0, progress_at=900.0)


def but(seen: Observation, **changes: object) -> Observation:
    return msgspec.structs.replace(seen, **changes)


@pytest.mark.behaviour("B2.1")
def test_an_idle_worker_ends_at_its_limit_and_not_before() -> None:
    assert judge(IDLE, LIMITS, 1299.9) == "keep"
    assert judge(IDLE, LIMITS, 1300.0) == "idle"


def test_a_busy_worker_is_never_idle() -> None:
    assert judge(but(IDLE, state="busy"), LIMITS, 99_999.0) == "keep"


@pytest.mark.parametrize(
    ("wish", "now", "verdict"),
    [
        (10.0, 1009.9, "keep"),
        (10.0, 1010.0, "idle"),
        (0.0, 1000.0, "idle"),
        (600.0, 1300.0, "keep"),
        (600.0, 1600.0, "idle"),
        (-1.0, 10.0**9, "keep"),
        (None, 1300.0, "idle"),
    ],
)
def test_the_last_requests_wish_goes_before_the_limit(
    wish: float | None, now: float, verdict: str
) -> None:
    assert judge(but(IDLE, keep_alive_s=wish), LIMITS, now) == verdict


@pytest.mark.behaviour("B2.1")
@pytest.mark.parametrize("state", ["idle", "busy"])
def test_the_last_miss_that_is_allowed_ends_a_worker(state: str) -> None:
    seen = but(IDLE, state=state)
    assert judge(but(seen, misses=2), LIMITS, 1001.0) == "keep"
    assert judge(but(seen, misses=3), LIMITS, 1001.0) == "unhealthy"


def test_misses_count_before_idleness() -> None:
    assert judge(but(IDLE, misses=3), LIMITS, 5000.0) == "unhealthy"


def test_misses_do_not_count_while_loading() -> None:
    loading = but(IDLE, state="loading", progress_at=1000.0, misses=99)
    assert judge(loading, LIMITS, 1001.0) == "keep"


@pytest.mark.behaviour("B2.1")
def test_loading_that_stands_still_ends_at_its_limit_and_not_before() -> None:
    loading = but(IDLE, state="loading", progress_at=1000.0)
    assert judge(loading, LIMITS, 1119.9) == "keep"
    assert judge(loading, LIMITS, 1120.0) == "stalled"


def test_loading_is_never_idle_however_long_it_takes() -> None:
    loading = but(IDLE, state="loading", active_at=0.0, progress_at=9_999.0, keep_alive_s=0.0)
    assert judge(loading, LIMITS, 10_000.0) == "keep"


def test_old_progress_means_nothing_once_the_model_is_loaded() -> None:
    assert judge(but(IDLE, progress_at=0.0), LIMITS, 1001.0) == "keep"


@pytest.mark.parametrize(("misses", "verdict"), [(0, "failing"), (3, "unhealthy")])
def test_a_worker_that_says_it_is_unhealthy_ends(misses: int, verdict: str) -> None:
    assert judge(but(IDLE, state="unhealthy", misses=misses), LIMITS, 1000.0) == verdict


def test_what_is_left_of_the_time_to_stay_is_never_negative() -> None:
    assert remaining_s(None, LIMITS, 100.0) == 200.0
    assert remaining_s(60.0, LIMITS, 100.0) == 0.0
    assert remaining_s(-1.0, LIMITS, 100.0) is None
