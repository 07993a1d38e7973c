"""The speed of a transfer: over the last three seconds."""

from __future__ import annotations

import pickle

import pytest

from rbee.hive.models.transfer import Rate

MB = 1_000_000


def test_the_first_look_shows_no_speed() -> None:
    assert Rate().mb_per_s(100.0, 50 * MB) == 0.0


def test_two_looks_at_one_moment_tell_no_speed() -> None:
    rate = Rate()
    rate.mb_per_s(100.0, 0)
    assert rate.mb_per_s(100.0, MB) == 0.0


def test_what_was_there_before_is_not_counted() -> None:
    rate = Rate()
    rate.mb_per_s(100.0, 900 * MB)
    assert rate.mb_per_s(101.0, 905 * MB) == pytest.approx(5.0)


def test_a_steady_flow_is_reported_as_it_is() -> None:
    rate = Rate()
    speeds = [rate.mb_per_s(tenth / 10, tenth * MB) for tenth in range(100)]
    assert speeds[1:] == pytest.approx([10.0] * 99)


def test_what_is_older_than_three_seconds_is_forgotten() -> None:
    rate = Rate()
    for second, size in enumerate([0, 100, 200, 200, 200]):
        rate.mb_per_s(float(second), size * MB)
    assert rate.mb_per_s(5.0, 200 * MB) == 0.0


def test_up_to_three_seconds_are_looked_back_upon() -> None:
    rate = Rate()
    for second, size in enumerate([0, 60, 60]):
        rate.mb_per_s(float(second), size * MB)
    assert rate.mb_per_s(3.0, 60 * MB) == pytest.approx(20.0)
    assert rate.mb_per_s(4.0, 60 * MB) == pytest.approx(0.0)


def test_a_pause_shows_and_is_forgotten_three_seconds_later() -> None:
    rate = Rate()
    rate.mb_per_s(0.0, 0)
    assert rate.mb_per_s(60.0, 6 * MB) == pytest.approx(0.1)
    assert rate.mb_per_s(63.0, 24 * MB) == pytest.approx(6.0)


def test_looking_often_keeps_little() -> None:
    rate = Rate()
    for hundredth in range(10_000):
        rate.mb_per_s(hundredth / 100, hundredth)
    assert len(pickle.dumps(rate)) < 20_000
