"""A worker by its name, or by enough of it."""

from __future__ import annotations

import pytest

from rbee.contract.errors import InvalidRequest, NotFound
from rbee.contract.workers import NodeWorkerRow
from rbee.queen.nodes.find_worker import find_worker


def row(name: str, node: str = "localhost") -> NodeWorkerRow:
    return NodeWorkerRow(name, node, "idle", "hf:a/b", "http://x:1", "cpu", 0, 4, 4)


ROWS = [row("worker-abc1"), row("worker-abd22", "workstation"), row("worker-abc1-and-more")]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("worker-abd22", "worker-abd22"),
        ("worker-abd2", "worker-abd22"),
        ("abd2", "worker-abd22"),
        ("worker-abc1", "worker-abc1"),
        ("abc1-", "worker-abc1-and-more"),
    ],
)
def test_the_whole_id_counts_before_the_beginning_of_one(name: str, found: str) -> None:
    assert find_worker(ROWS, name).worker_id == found


@pytest.mark.parametrize("name", ["worker-", "w", "ab", "worker-abc"])
def test_what_may_be_several_names_them(name: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        find_worker(ROWS, name)
    assert error.value.status == 400
    assert "worker-abc1 on localhost" in error.value.message


@pytest.mark.parametrize("name", ["bd2", "worker-x", "ABD"])
def test_what_is_none_says_where_to_look(name: str) -> None:
    with pytest.raises(NotFound) as error:
        find_worker(ROWS, name)
    assert error.value.status == 404
    assert "rbee-keeper worker list" in error.value.advice


@pytest.mark.parametrize("name", ["w", "wor", "abd"])
def test_a_slip_of_the_finger_ends_nobody(name: str) -> None:
    with pytest.raises(InvalidRequest, match="worker-abd22 on workstation"):
        find_worker([ROWS[1]], name)


def test_the_errors_say_it_in_whole() -> None:
    with pytest.raises(NotFound) as none:
        find_worker(ROWS, "bd2")
    assert none.value.details["errors"] == [
        {
            "field": "worker_id",
            "constraint": "a worker that runs",
            "message": "There is no worker bd2 on any node",
            "value": "bd2",
        }
    ]
    assert none.value.advice == "See which there are: rbee-keeper worker list"
    with pytest.raises(InvalidRequest) as several:
        find_worker(ROWS[:2], "worker-ab")
    which = "worker-abc1 on localhost, worker-abd22 on workstation"
    assert several.value.details["errors"] == [
        {
            "field": "worker_id",
            "constraint": "the beginning of one worker's id",
            "message": f"worker-ab may be any of {which}",
            "value": "worker-ab",
        }
    ]
    assert several.value.advice == "Give more of its id."


def test_four_characters_are_enough_and_the_prefix_alone_is_too_if_there_is_one_worker() -> None:
    assert find_worker([ROWS[1]], "abd2") is ROWS[1]
    assert find_worker([ROWS[1]], "worker-") is ROWS[1]
