"""How many tasks may wait, in all and of each key."""

from __future__ import annotations

from rbee.contract.errors import AllSlotsBusy, QueueFull
from rbee.queen.tasks.queue_limit import QueueLimit


def test_as_many_as_the_limit_may_wait_whoever_they_are() -> None:
    queue = QueueLimit(2)
    queue.join("a")
    assert queue.refusal("b", None, 4) is None
    queue.join("b")
    refusal = queue.refusal("c", None, 4)
    assert isinstance(refusal, QueueFull)
    assert refusal.details == {"slots_total": 4, "slots_busy": 4, "waiting": 2}
    queue.leave("a")
    assert queue.waiting == 1
    assert queue.refusal("c", None, 4) is None


def test_a_key_has_a_limit_of_its_own() -> None:
    queue = QueueLimit(9)
    for _ in range(2):
        queue.join("a")
    queue.join("b")
    assert queue.refusal("a", 3, 1) is None
    refusal = queue.refusal("a", 2, 1)
    assert isinstance(refusal, QueueFull)
    busy = {"slots_total": 1, "slots_busy": 1, "waiting": 2}
    assert refusal.details == {**busy, "key": "a", "queue_limit": 2}
    assert "2 requests of the key a are waiting" in refusal.message


def test_with_a_limit_of_0_nobody_waits() -> None:
    refusal = QueueLimit(0).refusal("a", None, 3)
    assert isinstance(refusal, AllSlotsBusy)
    assert refusal.details == {"slots_total": 3, "slots_busy": 3, "waiting": 0}
