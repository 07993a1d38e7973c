"""The table of a hive's states: total, and without a way out of the end."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.queen.nodes.hive_state import TRANSITIONS, HiveState, Observation, after

STATES, OBSERVATIONS = get_args(HiveState), get_args(Observation)


def follow(*observations: Observation) -> HiveState:
    state: HiveState = "absent"
    for observation in observations:
        state = after(state, observation)
    return state


def test_every_observation_means_something_in_every_state() -> None:
    assert set(TRANSITIONS) == set(STATES)
    for row in TRANSITIONS.values():
        assert set(row) == set(OBSERVATIONS)
        assert set(row.values()) <= set(STATES)


@pytest.mark.parametrize(
    ("observations", "state"),
    [
        (["wanted"], "starting"),
        (["wanted", "connected"], "running"),
        (["connected"], "running"),
        (["wanted", "failed"], "unreachable"),
        (["wanted", "abandoned"], "unreachable"),
        (["wanted", "connected", "abandoned"], "running"),
        (["connected", "exited"], "absent"),
        (["connected", "exited", "lost"], "absent"),
        (["connected", "lost", "exited"], "absent"),
        (["connected", "lost", "connected"], "running"),
        (["failed", "not_found"], "absent"),
    ],
)
def test_what_is_observed_decides_the_state(
    observations: list[Observation], state: HiveState
) -> None:
    assert follow(*observations) == state


@given(st.lists(st.sampled_from(OBSERVATIONS)), st.lists(st.sampled_from(OBSERVATIONS)))
def test_nothing_brings_a_hive_back_that_the_queen_lets_go_of(
    before: list[Observation], later: list[Observation]
) -> None:
    assert follow(*before, "closing", *later) == "draining"


@given(st.lists(st.sampled_from([one for one in OBSERVATIONS if one != "connected"])))
def test_only_an_open_event_stream_makes_it_running(observations: list[Observation]) -> None:
    assert follow(*observations) != "running"


@given(st.lists(st.sampled_from([one for one in OBSERVATIONS if one != "closing"])))
def test_nothing_stays_unreachable_because_it_once_was(observations: list[Observation]) -> None:
    assert follow(*observations, "connected") == "running"
