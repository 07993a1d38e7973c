"""HTTP requests for answers, as work for the engine. Here each letter is a token."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from rbee.contract.errors import (
    AllSlotsBusy,
    InvalidRequest,
    PromptTooLong,
    RequestCanceled,
)
from rbee.contract.events import Accepted, Done, Event, Token
from rbee.contract.tasks import InferenceRequest, Message
from rbee.worker.requests.requests import Requests

DONE = Done(True, 1, 1.0, 1, 0, 1.0, 1.0, "EOS")


class Letters:
    """In place of the model and its tokenizer: each letter is a token. "?" is text that no token
    stands for, "!" a control token."""

    vocabulary_size = 0x110000

    @property
    def tokenizer(self) -> Letters:
        return self

    def tokenize(self, text: str, most: int, hidden: Mapping[str, str] = {}) -> list[int]:
        return [ord(hidden.get(letter, letter)) for letter in text if letter != "?"]

    def hide_control(self, texts: Sequence[str], most: int) -> tuple[list[str], dict[str, str]]:
        return [text.replace("!", "\ufdd0") for text in texts], {"\ufdd0": "¡"}

    def text(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))

    def token(self, text: str) -> int | None:
        return None

    def special_token(self, which: str) -> int | None:
        assert which == "bos"
        return None

    def adds_bos(self) -> bool:
        return False


async def render(messages: Sequence[Mapping[str, Any]], *_: Any) -> str:
    """In place of the model's template."""
    return "".join(message["content"] for message in messages) + ">"


@pytest.fixture
def loaded(house: Any) -> Any:
    """What is loaded in the house; tests change it."""
    found = house.requests.loaded
    found.generates, found.pooling = True, "mean"
    found.model = Letters()
    found.chat = SimpleNamespace(render=render, stops=(), source=lambda with_tools: "")
    return found


@pytest.fixture
async def requests(house: Any, loaded: Any) -> AsyncIterator[Requests]:
    yield house.requests
    await house.requests.close()


async def events(answer: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in answer]


def ask(prompt: str = "abc", **how: Any) -> InferenceRequest:
    return InferenceRequest(prompt=prompt, request_id="x", **how)


async def test_a_prompt_is_counted_without_a_slot_and_beyond_the_context(
    house: Any, requests: Requests, loaded: Any
) -> None:
    room = loaded.context.tokens
    assert await requests.count(ask("a" * (room + 5))) == room + 5
    said = [Message("user", "b" * (room + 5))]
    assert await requests.count(InferenceRequest(messages=said)) == room + 6
    assert requests.status().slots_available == requests.status().slots_total


async def test_an_answer_is_accepted_then_streamed_then_done(
    house: Any, requests: Requests
) -> None:
    answer = asyncio.create_task(events(requests.answer(ask(max_tokens=4))))
    submitted = await house.submitted()
    assert (submitted.id, submitted.texts, submitted.room) == ("x", [[97, 98, 99]], 7)
    assert submitted.inference == ask(max_tokens=4)
    house.take(("x", Token("d", 0)), ("x", DONE))
    assert await answer == [Accepted("x", 3), Token("d", 0), DONE]
    assert house.engine.canceled == []


async def test_a_conversation_is_rendered_by_the_models_template(
    house: Any, requests: Requests
) -> None:
    """Control tokens are the template's alone."""
    said = [Message("user", "ab!"), Message("assistant", "c")]
    request = InferenceRequest(messages=said, request_id="x")
    answer = asyncio.create_task(events(requests.answer(request)))
    assert (await house.submitted()).texts == [[97, 98, ord("¡"), 99, ord(">")]]
    house.take(("x", DONE))
    await answer


async def test_what_ends_a_turn_in_the_template_ends_the_answer(
    house: Any, requests: Requests, loaded: Any
) -> None:
    loaded.chat.stops = ("\nUser:",)
    conversation = InferenceRequest(
        messages=[Message("user", "a")], stop=["b"], request_id="x", max_tokens=1
    )
    for request, stops in ((conversation, ["b", "\nUser:"]), (ask(stop=["b"]), ["b"])):
        answer = asyncio.create_task(events(requests.answer(request)))
        submitted = await house.submitted()
        assert submitted.inference is not None and submitted.inference.stop == stops
        house.take(("x", DONE))
        await answer


@pytest.mark.parametrize(("said", "wish"), [(None, None), ("10m", 600.0), (0, 0.0), (-1, -1.0)])
async def test_keep_alive_is_in_the_status_in_seconds(
    house: Any, requests: Requests, said: Any, wish: float | None
) -> None:
    answer = asyncio.create_task(events(requests.answer(ask(keep_alive=said))))
    await house.submitted()
    house.take(("x", DONE))
    await answer
    assert house.requests.status().keep_alive_s == wish


async def test_a_cancel_is_raised_in_the_stream(house: Any, requests: Requests) -> None:
    answer = asyncio.create_task(events(requests.answer(ask())))
    await house.submitted()
    house.requests.cancel("x")
    house.take(("x", RequestCanceled()))
    with pytest.raises(RequestCanceled):
        await answer


async def test_a_reader_that_goes_away_stops_the_engine(house: Any, requests: Requests) -> None:
    answer = requests.answer(ask())
    assert await anext(answer) == Accepted("x", 3)
    await answer.aclose()  # type: ignore[attr-defined]
    assert house.engine.canceled == ["x"]


@pytest.mark.parametrize(
    ("prompt", "error"),
    [("?", InvalidRequest), ("a" * 100, PromptTooLong)],
    ids=["no tokens", "too many"],
)
async def test_a_prompt_that_cannot_be_answered_never_reaches_the_engine(
    house: Any, requests: Requests, prompt: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"(?i)prompt"):
        await events(requests.answer(ask(prompt)))
    assert house.engine.submitted == []
    assert house.requests.status().slots_available == 2


async def test_without_a_free_slot_nothing_is_read(house: Any, requests: Requests) -> None:
    await house.enter("a")
    await house.enter("b")
    with pytest.raises(AllSlotsBusy):
        await events(requests.answer(ask()))


async def test_closing_waits_for_prompts_that_are_being_tokenized(
    house: Any, loaded: Any, requests: Requests
) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def read(_: str, __: int) -> list[int]:
        reading.set()
        assert go_on.wait(10)
        return [1]

    loaded.model.tokenize = read
    answer = asyncio.create_task(events(requests.answer(ask("a"))))
    await asyncio.to_thread(reading.wait, 10)
    closing = asyncio.create_task(requests.close())
    done, _ = await asyncio.wait({closing}, timeout=0.05)
    assert not done
    go_on.set()
    submitted = await house.submitted()
    await closing
    house.take((submitted.id, DONE))
    await answer


async def test_a_form_is_compiled_before_any_room_is_reserved(house: Any, loaded: Any) -> None:
    """While one waits for its form, others may take the room."""
    compiling, go_on = asyncio.Event(), asyncio.Event()

    async def compiled(grammar: str, field: str, in_thread: Any) -> str:
        compiling.set()
        await go_on.wait()
        return f"held to the {field}"

    loaded.model.grammars = SimpleNamespace(compile=compiled)
    slow = house.requests.answer(
        InferenceRequest(prompt="abc", max_tokens=50, grammar='root ::= "a"')
    )
    first = asyncio.ensure_future(anext(slow))
    await compiling.wait()
    other = house.requests.answer(InferenceRequest(prompt="abc", max_tokens=60))
    await anext(other)
    go_on.set()
    with pytest.raises(AllSlotsBusy):
        await first
    await other.aclose()
    assert [request.constraint for request in house.engine.submitted] == [None]


async def test_a_form_goes_with_its_request(house: Any, loaded: Any) -> None:
    async def compiled(grammar: str, field: str, in_thread: Any) -> str:
        return f"the {field}"

    loaded.model.grammars = SimpleNamespace(compile=compiled)
    answer = house.requests.answer(InferenceRequest(prompt="a", grammar='root ::= "a"'))
    await anext(answer)
    [request] = house.engine.submitted
    assert request.constraint == "the grammar"
    await answer.aclose()


@pytest.mark.parametrize("biases", [{str(0x110000): 1}, {"1": 1, "9999999999": -100}])
async def test_a_bias_is_for_a_token_of_the_model(
    house: Any, loaded: Any, biases: dict[str, float]
) -> None:
    answer = house.requests.answer(InferenceRequest(prompt="a", logit_bias=biases))
    with pytest.raises(InvalidRequest, match="1114112 tokens"):
        await anext(answer)
    assert house.engine.submitted == []


async def test_the_ids_of_a_prompt_are_taken_as_they_are(house: Any, loaded: Any) -> None:
    answer = house.requests.answer(InferenceRequest(prompt=[5, 33, 0]))
    await anext(answer)
    assert house.engine.submitted[0].texts == [[5, 33, 0]]
    await answer.aclose()
    unknown = house.requests.answer(InferenceRequest(prompt=[5, 0x110000]))
    with pytest.raises(InvalidRequest, match="none with the id 1114112"):
        await anext(unknown)


async def test_too_many_ids_are_counted_and_not_looked_at(house: Any, loaded: Any) -> None:
    """A body has room for eight million, on the event loop."""
    long = house.requests.answer(InferenceRequest(prompt=[0x110000] * 200))
    with pytest.raises(PromptTooLong, match="has 200 tokens"):
        await anext(long)
