"""Events with numbers: who comes back gets what it missed, or the present, and knows which."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rbee.contract.errors import StreamTruncated
from rbee.contract.events import Event, Narration, Resumed, Snapshot
from rbee.runtime.journal import Journal, Position
from rbee.runtime.sse import LastEvent, Numbered, Raw

PRESENT = Snapshot([], None)


def said(text: str) -> Narration:
    return Narration("rbee-hive", text, "")


async def read(journal: Journal, count: int, last_id: str = "") -> list[Numbered]:
    async with asyncio.timeout(5):
        coming: AsyncIterator[Numbered] = journal.follow(last_id, lambda: PRESENT)
        return [await anext(coming) for _ in range(count)]


def events(numbered: list[Numbered]) -> list[Event]:
    return [each.event for each in numbered]


async def test_it_begins_with_the_present_and_numbers_what_follows() -> None:
    journal = Journal()
    journal.send(said("before"))
    coming = journal.follow("", lambda: PRESENT)
    first = await anext(coming)
    journal.send(said("one"))
    journal.send(said("two"))
    one, two = await anext(coming), await anext(coming)
    assert events([first, one, two]) == [PRESENT, said("one"), said("two")]
    epoch = first.id.removesuffix("-1")
    assert [first.id, one.id, two.id] == [f"{epoch}-1", f"{epoch}-2", f"{epoch}-3"]


async def test_who_comes_back_gets_what_it_missed_and_no_more() -> None:
    journal = Journal()
    [first] = await read(journal, 1)
    journal.send(said("one"))
    journal.send(said("two"))
    again = await read(journal, 3, first.id)
    assert events(again) == [Resumed(2), said("one"), said("two")]
    assert again[0].id == first.id  # a reader that breaks off here still misses both
    assert events(await read(journal, 2, again[1].id)) == [Resumed(1), said("two")]
    assert events(await read(journal, 1, again[2].id)) == [Resumed(0)]


async def test_what_is_kept_is_bounded() -> None:
    journal = Journal(kept=3)
    [first] = await read(journal, 1)
    for number in range(3):
        journal.send(said(str(number)))
    assert events(await read(journal, 4, first.id))[0] == Resumed(3)
    journal.send(said("one too many"))
    assert events(await read(journal, 1, first.id)) == [PRESENT]


@pytest.mark.parametrize(
    "change", ["{epoch}-9", "other-0", "{epoch}--1", "{epoch}-²", "{epoch}", "-"]
)
async def test_what_is_not_one_of_its_ids_gets_the_present(change: str) -> None:
    journal = Journal()
    [first] = await read(journal, 1)
    epoch = first.id.partition("-")[0]
    assert events(await read(journal, 1, change.format(epoch=epoch))) == [PRESENT]
    assert events(await read(journal, 1, f"{epoch}-0")) == [Resumed(0)]


async def test_each_journal_has_an_epoch_of_its_own() -> None:
    [one], [other] = await read(Journal(), 1), await read(Journal(), 1)
    assert one.id != other.id
    assert events(await read(Journal(), 1, one.id)) == [PRESENT]


async def test_it_is_heard_by_its_readers_too_and_a_slow_one_is_cut_off() -> None:
    journal = Journal()
    assert not journal.is_heard
    coming = journal.follow("", lambda: PRESENT)
    first = await anext(coming)
    assert journal.is_heard
    for number in range(1500):
        journal.send(said(str(number)))
    heard = [each async for each in coming]
    assert len(heard) == 1024
    assert events(await read(journal, 2, heard[-1].id)) == [Resumed(476), said("1024")]
    assert events(await read(journal, 1, first.id)) == [PRESENT]


def raw(event_id: str, event: str = "narration") -> Raw:
    return Raw(event, "{}", event_id)


def moved(position: LastEvent, *raws: Raw) -> str:
    for each in raws:
        position.move(each)
    return position.id


def test_a_position_follows_the_numbers() -> None:
    assert moved(Position(), raw("e-4", "snapshot"), raw("e-5"), raw("e-6")) == "e-6"
    assert moved(Position("e-6"), raw("e-6", "resumed"), raw("e-7")) == "e-7"
    assert moved(Position("e-6"), raw("f-0", "snapshot"), raw("f-1")) == "f-1"


@pytest.mark.parametrize("wrong", ["e-6", "e-4", "e-3", "f-5", ""])
def test_a_number_that_jumps_is_an_error_and_the_position_is_forgotten(wrong: str) -> None:
    position = Position()
    position.move(raw("e-4", "snapshot"))
    with pytest.raises(StreamTruncated, match="after e-4"):
        position.move(raw(wrong))
    assert position.id == ""
