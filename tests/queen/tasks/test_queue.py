"""The line before a busy worker: first come, first served, and nobody forgotten."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from rbee.contract.errors import QueueFull
from rbee.contract.events import Queued
from rbee.queen.tasks.queue import Queue

W = "worker-1"
SLOTS = 4


async def test_who_comes_later_stands_further_back() -> None:
    queue = Queue(8)
    with (
        queue.join(W, SLOTS) as first,
        queue.join(W, SLOTS) as second,
        queue.join(W, SLOTS) as third,
    ):
        assert [ticket.place for ticket in (first, second, third)] == [
            Queued(1, 3),
            Queued(2, 3),
            Queued(3, 3),
        ]


async def test_who_leaves_lets_the_others_move_up() -> None:
    queue = Queue(8)
    with (
        queue.join(W, SLOTS) as first,
        queue.join(W, SLOTS) as second,
        queue.join(W, SLOTS) as third,
    ):
        second.leave()
        assert (first.place, third.place) == (Queued(1, 2), Queued(2, 2))
        first.leave()
        assert third.place == Queued(1, 1)


async def test_leaving_twice_is_leaving() -> None:
    queue = Queue(8)
    with queue.join(W, SLOTS) as first, queue.join(W, SLOTS) as second:
        first.leave()
        first.leave()
        assert second.place == Queued(1, 1)
        assert queue.waiting == 1


async def test_leaving_the_block_is_leaving_the_line_also_with_an_error() -> None:
    queue = Queue(1)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="canceled"), queue.join(W, SLOTS):
            raise RuntimeError("canceled")
    assert queue.waiting == 0
    assert not queue.has_line(W)


async def test_each_worker_has_a_line_of_its_own() -> None:
    queue = Queue(8)
    with queue.join(W, SLOTS), queue.join("worker-2", SLOTS) as other:
        assert other.place == Queued(1, 1)
        assert queue.waiting == 2
        assert not queue.has_line("worker-3")


async def test_a_line_is_there_as_long_as_somebody_waits() -> None:
    queue = Queue(8)
    assert not queue.has_line(W)
    with queue.join(W, SLOTS) as ticket:
        assert queue.has_line(W)
        ticket.leave()
        assert not queue.has_line(W)


async def test_who_joins_while_the_first_is_served_is_first() -> None:
    queue = Queue(8)
    with queue.join(W, SLOTS) as served:
        served.leave()
        with queue.join(W, SLOTS) as next_one:
            assert next_one.place == Queued(1, 1)
            assert queue.has_line(W)
    assert not queue.has_line(W)


async def test_the_limit_is_for_all_lines_together() -> None:
    queue = Queue(2)
    with queue.join(W, SLOTS), queue.join("worker-2", SLOTS):
        with pytest.raises(QueueFull) as caught, queue.join("worker-3", SLOTS):
            raise AssertionError("nobody may join")
        assert caught.value.details == {
            "slots_total": SLOTS,
            "slots_busy": SLOTS,
            "waiting": 2,
        }
    with queue.join("worker-3", SLOTS):
        assert queue.waiting == 1


async def test_in_a_queue_of_nothing_nobody_waits() -> None:
    with pytest.raises(QueueFull), Queue(0).join(W, SLOTS):
        raise AssertionError("nobody may join")


async def test_the_place_is_told_at_once_and_after_each_move() -> None:
    queue = Queue(8)
    with ExitStack() as stack:
        first, second, third = (stack.enter_context(queue.join(W, SLOTS)) for _ in range(3))
        turns = third.turns()
        assert await anext(turns) == Queued(3, 3)
        moved = asyncio.ensure_future(anext(turns))
        await asyncio.sleep(0)
        assert not moved.done()
        second.leave()
        async with asyncio.timeout(5):
            assert await moved == Queued(2, 2)
        again = asyncio.ensure_future(anext(turns))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not again.done()
        first.leave()
        async with asyncio.timeout(5):
            assert await again == Queued(1, 1)


async def test_a_move_that_came_while_nobody_listened_is_told() -> None:
    queue = Queue(8)
    with queue.join(W, SLOTS) as first, queue.join(W, SLOTS) as second:
        turns = second.turns()
        assert await anext(turns) == Queued(2, 2)
        first.leave()
        async with asyncio.timeout(5):
            assert await anext(turns) == Queued(1, 1)


async def test_the_first_in_line_looks_again_by_itself() -> None:
    with Queue(8).join(W, SLOTS) as ticket:
        turns = ticket.turns()
        async with asyncio.timeout(5):
            assert await anext(turns) == Queued(1, 1)
            assert await anext(turns) == Queued(1, 1)


async def test_only_the_first_in_line_is_ever_first() -> None:
    """A hundred who leave in any order: each time exactly one stands first."""
    queue = Queue(100)
    with ExitStack() as stack:
        tickets = [stack.enter_context(queue.join(W, SLOTS)) for _ in range(100)]
        order = tickets[1::2] + tickets[::2]
        while order:
            assert sorted(ticket.place.position for ticket in order) == list(
                range(1, len(order) + 1)
            )
            order.pop(0).leave()
    assert queue.waiting == 0


async def test_one_that_has_left_too_soon_steps_in_again_at_the_end() -> None:
    queue = Queue(8)
    with queue.join(W, SLOTS) as first, queue.join(W, SLOTS) as second:
        first.rejoin()
        assert (first.place, second.place) == (Queued(1, 2), Queued(2, 2))
        first.leave()
        first.rejoin()
        assert (second.place, first.place) == (Queued(1, 2), Queued(2, 2))
