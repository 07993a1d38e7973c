"""How long a queen stays: as long as anyone holds her."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import pytest

from rbee.contract.daemons import OWNER, Hello, Hold
from rbee.contract.errors import ShuttingDown
from rbee.contract.events import Event
from rbee.contract.nodes import Owner
from rbee.queen.holds import Holds
from rbee.runtime.lifecycle import Lifecycle

HELLO = Hello("secret-key", Owner("rbee-keeper", 7, 1.5, "here"))


@pytest.fixture
async def lifecycle() -> Lifecycle:
    """The life of a queen that a command started."""
    return Lifecycle("queen-rbee", HELLO, "secret-key")


Listener = AsyncGenerator[Event | None, None]


async def take(holds: Holds) -> tuple[str, Listener]:
    listener = holds.hold()
    assert isinstance(listener, AsyncGenerator)
    hold = await anext(listener)
    assert isinstance(hold, Hold)
    return hold.hold_id, listener


async def test_a_queen_that_a_person_started_stays_whoever_goes() -> None:
    lifecycle = Lifecycle("queen-rbee", None, None)
    holds = Holds(lifecycle)
    assert holds.lifetime == "persistent"
    hold_id, listener = await take(holds)
    assert holds.release(hold_id).stays
    await listener.aclose()
    assert lifecycle.state == "running"


async def test_a_queen_ends_in_order_when_her_command_lets_go(lifecycle: Lifecycle) -> None:
    holds = Holds(lifecycle)
    assert holds.lifetime == "ephemeral"
    assert not holds.release(OWNER).stays
    assert lifecycle.draining.is_set()
    assert not lifecycle.cut.is_set()


async def test_a_queen_ends_at_once_when_her_command_is_lost(lifecycle: Lifecycle) -> None:
    Holds(lifecycle)
    lifecycle.on_owner_lost()
    assert lifecycle.draining.is_set()
    assert lifecycle.cut.is_set()


async def test_her_commands_lifeline_alone_is_no_hold_that_outlasts_it(
    lifecycle: Lifecycle,
) -> None:
    holds = Holds(lifecycle)
    assert not lifecycle.is_held()
    _, listener = await take(holds)
    assert lifecycle.is_held()
    await listener.aclose()
    assert not lifecycle.is_held()


async def test_a_held_queen_survives_her_command(lifecycle: Lifecycle) -> None:
    holds = Holds(lifecycle)
    hold_id, _ = await take(holds)
    lifecycle.on_owner_lost()
    assert lifecycle.state == "running"
    assert not lifecycle.ending.is_set()
    assert not holds.release(hold_id).stays
    assert lifecycle.draining.is_set()
    assert not lifecycle.cut.is_set()


async def test_an_end_that_has_begun_is_not_taken_back_by_a_new_hold(lifecycle: Lifecycle) -> None:
    holds = Holds(lifecycle)
    lifecycle.ending.set()  # the watch has seen the owner go, and the loop does not know it yet
    with contextlib.suppress(ShuttingDown):
        await take(holds)
    lifecycle.on_owner_lost()
    assert lifecycle.draining.is_set()


async def test_the_last_of_several_holds_ends_the_queen(lifecycle: Lifecycle) -> None:
    holds = Holds(lifecycle)
    one, _ = await take(holds)
    other, _ = await take(holds)
    assert one != other
    lifecycle.on_owner_lost()
    assert holds.release(one).stays
    assert not lifecycle.draining.is_set()
    assert not holds.release(other).stays
    assert lifecycle.draining.is_set()


async def test_a_hold_that_is_lost_ends_the_queen_at_once(lifecycle: Lifecycle) -> None:
    holds = Holds(lifecycle)
    _, listener = await take(holds)
    lifecycle.on_owner_lost()
    await listener.aclose()
    assert lifecycle.cut.is_set()


async def test_a_hold_that_is_lost_while_others_hold_changes_nothing(lifecycle: Lifecycle) -> None:
    holds = Holds(lifecycle)
    _, listener = await take(holds)
    await listener.aclose()
    assert lifecycle.state == "running"


async def test_a_hold_that_was_released_may_break_off_without_harm(lifecycle: Lifecycle) -> None:
    holds = Holds(lifecycle)
    one, listener = await take(holds)
    await take(holds)
    lifecycle.on_owner_lost()
    holds.release(one)
    await listener.aclose()
    assert lifecycle.state == "running"


async def test_an_orderly_end_is_not_cut_short_by_the_stream_that_closes(
    lifecycle: Lifecycle,
) -> None:
    holds = Holds(lifecycle)
    hold_id, listener = await take(holds)
    lifecycle.on_owner_lost()
    holds.release(hold_id)
    await listener.aclose()
    assert not lifecycle.cut.is_set()


async def test_a_release_of_nothing_changes_nothing(lifecycle: Lifecycle) -> None:
    holds = Holds(lifecycle)
    assert holds.release("of somebody else").stays
    assert lifecycle.state == "running"


async def test_a_kept_queen_stays_without_anyone(lifecycle: Lifecycle) -> None:
    holds = Holds(lifecycle)
    holds.keep()
    assert holds.lifetime == "persistent"
    lifecycle.on_owner_lost()
    assert lifecycle.is_held()
    assert lifecycle.state == "running"


async def test_a_hold_ends_with_the_queen(lifecycle: Lifecycle) -> None:
    _, listener = await take(Holds(lifecycle))
    lifecycle.over.set()
    assert [event async for event in listener] == []
