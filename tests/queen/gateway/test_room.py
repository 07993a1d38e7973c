"""What every protocol needs: names, the list of models, and several tasks as one stream."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from rbee.contract.errors import ModelNotFound, QueueFull, TooManyRequests
from rbee.contract.events import Accepted, Token
from rbee.contract.tasks import TaskRequest
from rbee.queen.gateway.room import Room
from rbee.queen.nodes.catalog import KnownModel
from rbee.runtime.keyring import Caller, caller
from tests.queen.gateway.conftest import ANSWER, FILE, Queen


async def test_without_a_name_it_is_the_default(room: Room) -> None:
    assert await room.model(None) == await room.model("") == "bundled:smollm2-135m-instruct"


async def test_a_name_that_the_nodes_know_since_a_moment_is_found(room: Room, queen: Queen) -> None:
    queen.read_models = [KnownModel("hf:New/Model/new.gguf", "unloaded")]
    assert await room.model("new") == "hf:New/Model/new.gguf"
    with pytest.raises(ModelNotFound):
        await room.model("nobody")


async def test_models_are_listed_with_the_aliases_and_what_those_stand_for(room: Room) -> None:
    listed = {model.reference: (model.state, model.since) for model in room.models()}
    assert listed == {
        FILE: ("loaded", 1700000000),
        "tinyllama": ("unloaded", 0),
        "qwen-0.5b": ("unloaded", 0),
        "smollm2": ("unloaded", 0),
        "big": ("loaded", 1700000000),
        "Small": ("unloaded", 0),
    }


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("big", "big"),
        ("BIG", "big"),
        (FILE, FILE),
        ("owner/repo-gguf", FILE),
        ("repo-q4_k_m", FILE),
    ],
)
async def test_one_model_is_shown_by_any_of_its_names(
    room: Room, name: str, reference: str
) -> None:
    found = await room.known_model(name)
    assert found.reference == reference


@pytest.mark.parametrize("name", ["hf:not/here", "nobody"])
async def test_one_that_no_node_has_is_not_shown(room: Room, name: str) -> None:
    with pytest.raises(ModelNotFound):
        await room.known_model(name)


def tasks(count: int) -> list[TaskRequest]:
    return [TaskRequest(prompt=f"p{at}") for at in range(count)]


async def test_several_tasks_are_one_stream(room: Room, queen: Queen) -> None:
    found = [each async for each in room.answers(tasks(6))]
    assert len(found) == 6 * len(ANSWER)
    for at in range(6):
        assert [event for index, event in found if index == at] == ANSWER
    assert [request.prompt for request in queen.asked] == [f"p{at}" for at in range(6)]


async def test_the_first_one_that_fails_ends_them_all(room: Room, queen: Queen) -> None:
    full = QueueFull(slots_total=1, slots_busy=1, waiting=1)
    queen.answers = [ANSWER[:2], [full]]
    with pytest.raises(QueueFull):
        [each async for each in room.answers(tasks(5))]
    await asyncio.sleep(0)
    assert all(task is asyncio.current_task() for task in asyncio.all_tasks())


async def test_a_first_one_that_fails_leaves_nobody_waiting(room: Room, queen: Queen) -> None:
    queen.answers = [[QueueFull(slots_total=1, slots_busy=1, waiting=1)], ANSWER]
    async with asyncio.timeout(5):
        with pytest.raises(QueueFull):
            [each async for each in room.answers(tasks(3))]


@pytest.mark.parametrize("count", [1, 3])
async def test_a_reader_that_leaves_closes_every_stream(
    room: Room, queen: Queen, count: int
) -> None:
    queen.answers = [[Token("a", at) for at in range(1000)]]
    async with aclosing(room.answers(tasks(count))) as events:
        async for _ in events:
            if len(queen.asked) == count:
                break
    assert queen.left == len(queen.asked) == count


async def test_the_others_begin_when_the_first_has_read_its_prompt(
    room: Room, queen: Queen
) -> None:
    reading = asyncio.Event()
    queen.answers = [[Accepted("r"), reading, Token("a", 0), ANSWER[-1]], ANSWER]
    stream = room.answers(tasks(3))
    assert await anext(stream) == (0, Accepted("r"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(queen.asked) == 1
    reading.set()
    await anext(stream)
    assert [index async for index, _ in stream].count(2) == len(ANSWER)
    assert len(queen.asked) == 3


@pytest.fixture
def guest() -> Iterator[Caller]:
    """Somebody with a key for one model, and for one task at a time."""
    who = Caller("guest", "use", ("hf:a/b",), limit=1)
    before = caller.set(who)
    yield who
    caller.reset(before)


async def test_a_key_sees_the_models_that_it_may_use_and_no_others(
    room: Room, queen: Queen, guest: Caller
) -> None:
    queen.models.append(KnownModel("hf:a/b/b-q4_0.gguf", "unloaded"))
    assert {each.reference for each in room.models()} == {"hf:a/b/b-q4_0.gguf", "Small"}
    with pytest.raises(ModelNotFound):
        await room.known_model(FILE)
    with pytest.raises(ModelNotFound) as caught:
        await room.model("repo-q4_k_x")
    assert FILE not in caught.value.advice and "repo-q4" not in caught.value.advice


async def test_a_key_without_a_list_is_not_told_of_files_and_one_with_a_list_not_of_aliases(
    room: Room, queen: Queen, guest: Caller
) -> None:
    queen.models = [KnownModel("file:/home/boss/secret-merger-7b.gguf", "loaded")]
    with pytest.raises(ModelNotFound) as caught:
        await room.model("bigg")
    assert caught.value.details["near"] == []
    before = caller.set(Caller("open", "use"))
    with pytest.raises(ModelNotFound) as caught:
        await room.model("secret-merger")
    caller.reset(before)
    assert "secret-merger-7b" not in str(caught.value.details)


async def test_tasks_are_those_of_the_key_and_no_more_at_once_than_it_may_have(
    room: Room, queen: Queen, guest: Caller
) -> None:
    queen.places = 1
    held = asyncio.Event()
    queen.answers = [[*ANSWER, held], ANSWER]
    requests = [TaskRequest(prompt="a"), TaskRequest(prompt="b")]
    async with aclosing(room.answers(requests)) as events:
        for _ in ANSWER:
            await anext(events)
        assert len(queen.asked) == 1
        held.set()
        assert [index async for index, _ in events] == [1] * len(ANSWER)
    assert queen.callers == [guest, guest]
    assert queen.reserved == 0


async def test_several_tasks_without_a_place_are_refused_before_the_first(
    room: Room, queen: Queen
) -> None:
    queen.places = 0
    with pytest.raises(TooManyRequests):
        await anext(room.answers(tasks(3)))
    assert queen.asked == []


async def test_several_tasks_reserve_no_more_places_than_they_need(
    room: Room, queen: Queen
) -> None:
    stream = room.answers(tasks(2))
    await anext(stream)
    assert queen.reserved == 2
    await stream.aclose()
    assert queen.reserved == 0
