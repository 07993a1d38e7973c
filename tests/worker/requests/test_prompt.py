"""Conversations as tokens, with a real vocabulary: what is said stays text.

The template writes out all that it is given.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from harness.model_files.synthetic import write_model
from rbee.contract.errors import InvalidRequest
from rbee.contract.tasks import InferenceRequest
from rbee.worker.model.chat_template import ChatTemplate
from rbee.worker.model.llama import Model
from rbee.worker.model.templates.renderers import Renderers
from rbee.worker.requests.prompt import prompt_tokens

BEGIN, END = "<|im_start|>", "<|im_end|>"
ALL = "{{ messages | tojson }}{{ tools | tojson }}{{ (style or {}) | tojson }}" + END
# Each of these is one turn, with a control token in a place of its own.
PLACES: list[dict[str, Any]] = [
    {"messages": [{"role": BEGIN, "content": "a"}]},
    {"messages": [{"role": "user", "content": f"a{BEGIN}b"}]},
    {"messages": [{"role": "user", "content": "a", "name": END}]},
    {"messages": [{"role": "user", "content": "a", "reasoning_content": END}]},
    {"messages": [{"role": "tool", "content": "a", "tool_call_id": END}]},
    {"messages": [{"role": "assistant", "tool_calls": [{"id": END, "function": {"name": "f"}}]}]},
    {"call": json.dumps({"a": END})},
    {"call": json.dumps({END: ["a"]})},
    {"call": '{"a": "\\u003c|im_end|\\u003e"}'},
    {"call": END},
    {"tools": [{"function": {"name": "f", "description": END}}]},
    {"tools": [{"function": {"name": "f", "parameters": {END: {"x": [1, None, END]}}}}]},
    {"chat_template_kwargs": {"style": {"a": [END]}}},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("vocabulary") / "m.gguf"
    found = Model(write_model(path, 1, width=64, hidden=64), "cpu", 0, True, lambda _: True)
    yield found
    found.free()


@pytest.fixture
async def tokens(model: Model) -> AsyncIterator[Callable[..., Awaitable[list[int]]]]:
    """The tokens of a request, with the template `source` and room for so many."""
    renderers = Renderers()

    async def found(fields: dict[str, Any], source: str, room: int = 8192) -> list[int]:
        request = msgspec.convert(fields, InferenceRequest)
        chat = ChatTemplate({"default": source}, model.special_texts(), renderers)
        loaded: Any = SimpleNamespace(model=model, chat=chat, context=SimpleNamespace(tokens=room))
        return await prompt_tokens(loaded, request, asyncio.to_thread)

    yield found
    await renderers.close()


def request_of(place: dict[str, Any]) -> dict[str, Any]:
    fields = {"messages": [{"role": "user", "content": "a"}], **place}
    if arguments := fields.pop("call", None):
        calls = [{"function": {"name": "f", "arguments": arguments}}]
        fields["messages"] = [{"role": "assistant", "tool_calls": calls}]
    return fields


@pytest.mark.parametrize("place", PLACES, ids=[str(place)[:60] for place in PLACES])
@pytest.mark.parametrize("written", ["tojson", "tojson(ensure_ascii=True)"])
async def test_only_the_template_writes_control_tokens_wherever_they_are_spelled_out(
    model: Model, tokens: Any, place: dict[str, Any], written: str
) -> None:
    found = await tokens(request_of(place), ALL.replace("tojson", written))
    [end] = model.tokenizer.tokenize(END, 9)
    [begin] = model.tokenizer.tokenize(BEGIN, 9)
    assert found[-1] == end
    assert begin not in found and end not in found[:-1]
    text = b"".join(map(model.piece, found)).decode()
    # As text it is there, and nothing stands for it.
    assert text.count("|im_start|") + text.count("|im_end|") == str(place).count("|im_")


async def test_what_a_template_leaves_out_hides_nothing_of_what_it_shows(
    model: Model, tokens: Any
) -> None:
    """What is said has more tokens than the context, but what is shown has not."""
    said = [
        {"role": "user", "content": "a " * 500},
        {"role": "user", "content": f"b{END}"},
    ]
    found = await tokens({"messages": said}, "{{ messages[-1].content }}", room=100)
    assert b"".join(map(model.piece, found)).decode() == f"b{END}"
    assert model.tokenizer.tokenize(END, 9)[0] not in found


async def test_a_prompt_that_is_too_long_is_known_to_be(tokens: Any) -> None:
    said = [{"role": "user", "content": f"a {END} " * 500}]
    assert len(await tokens({"messages": said}, ALL, room=100)) > 100


async def test_a_raw_prompt_keeps_its_control_tokens_and_needs_no_template(
    model: Model, tokens: Any
) -> None:
    assert await tokens({"prompt": END}, "{% for %}") == model.tokenizer.tokenize(END, 9)
    assert await tokens({"prompt": [7, 8]}, "{% for %}") == [7, 8]


async def test_json_that_is_nested_too_deeply_is_refused(tokens: Any) -> None:
    nested: Any = {}
    for _ in range(900):
        nested = {"a": nested}
    with pytest.raises(InvalidRequest, match=r"nested|recursion"):
        await tokens(
            {"messages": [{"role": "user", "content": "a"}], "chat_template_kwargs": nested}, ALL
        )


async def test_so_are_arguments_of_an_earlier_call(tokens: Any) -> None:
    arguments = '{"a":' * 5000 + "1" + "}" * 5000
    with pytest.raises(InvalidRequest, match=r"nested|recursion"):
        await tokens(request_of({"call": arguments}), ALL)


async def test_an_answer_that_is_begun_stands_after_what_the_template_writes(
    model: Model, tokens: Callable[..., Awaitable[list[int]]]
) -> None:
    source = "{% for m in messages %}{{ m.content }};{% endfor %}" + BEGIN
    asked = {"role": "user", "content": "a"}, {"role": "assistant", "content": f"So{END}"}
    fields = {"messages": list(asked), "continue_final_message": True}
    found = await tokens(fields, source)
    assert model.tokenizer.text(found) == f"a;{BEGIN}So{END}"
    # What the template writes is a control token, and what is said is not.
    control = model.tokenizer.control_token
    assert (found.count(control(BEGIN)), found.count(control(END))) == (1, 0)
    for wrong in (list(asked[:1]), list(asked[1:])):
        with pytest.raises(msgspec.ValidationError, match="continue_final_message"):
            msgspec.convert({**fields, "messages": wrong}, InferenceRequest)
