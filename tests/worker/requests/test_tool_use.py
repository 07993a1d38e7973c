"""Requests with tools: what the model is told, and what its answer may be. The vocabulary is real,
the weights are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import psutil
import pytest

from harness.model_files.synthetic import write_model
from rbee.contract.errors import InvalidRequest
from rbee.contract.tasks import InferenceRequest
from rbee.contract.validation import decode
from rbee.worker.model import grammar_check
from rbee.worker.model.chat_template import ChatTemplate
from rbee.worker.model.llama import Model
from rbee.worker.model.templates.renderers import Renderers
from rbee.worker.requests import answer_form, tool_use
from tests.worker.children import running

SAID = "{% for m in messages %}{{ m.role }}: {{ m.content }}|{% endfor %}"
PLAIN = SAID + "assistant:"
TAUGHT = (
    "{% for t in tools or [] %}<tool_call> {{ t | tojson }}|{% endfor %}"
    "{% for m in messages %}{{ m.role }}: {{ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ c | tojson }}{% endfor %}|{% endfor %}assistant:"
)
WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "In a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
ASKED: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Rain?"}],
    "tools": [{"function": WEATHER}],
}
CALLED = [
    {"role": "user", "content": "Rain?"},
    {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [
            {"id": "a", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}},
            {"id": "b", "function": {"name": "weather"}},
        ],
    },
    {"role": "tool", "content": "sunny", "tool_call_id": "a"},
    {"role": "tool", "content": "rain", "tool_call_id": "b"},
]
Open = Callable[[str], Any]
Tell = Callable[[dict[str, Any], str], Awaitable[InferenceRequest]]


def request(fields: dict[str, Any]) -> InferenceRequest:
    return msgspec.convert(fields, InferenceRequest)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("vocabulary") / "m.gguf"
    found = Model(write_model(path, 1, width=64, hidden=64), "cpu", 0, True, lambda _: True)
    yield found
    found.grammars.close()
    found.free()


@pytest.fixture
async def opened(model: Model) -> AsyncIterator[Open]:
    """The model with a template."""
    renderers = Renderers()
    yield lambda source: SimpleNamespace(
        model=model, chat=ChatTemplate({"default": source}, {}, renderers)
    )
    await renderers.close()


@pytest.fixture
def tell(opened: Open) -> Tell:
    """The request as a template gets it."""
    return lambda fields, source: tool_use.as_told(opened(source), request(fields))


def said(told: InferenceRequest) -> list[tuple[str, str | None]]:
    return [(message.role, message.content) for message in told.messages or ()]


async def test_a_template_that_takes_tools_gets_them(tell: Tell) -> None:
    told = await tell(ASKED, TAUGHT)
    assert said(told) == [("user", "Rain?")]
    assert [tool.function.name for tool in told.tools] == ["weather"]


async def test_one_that_takes_none_is_told_of_them_by_the_system(tell: Tell) -> None:
    told = await tell(ASKED, PLAIN)
    (system, text), user = said(told)
    assert (system, user, told.tools) == ("system", ("user", "Rain?"), [])
    for words in ('"name": "weather"', '"In a city."', '"city": {"type": "string"}', '"tool_call"'):
        assert words in (text or "")
    brief = {"role": "system", "content": "Be brief."}
    told = await tell({**ASKED, "messages": [brief, *ASKED["messages"]]}, PLAIN)
    assert (said(told)[0][1] or "").startswith("Be brief.\n\nYou can call functions.")


async def test_with_tool_choice_none_nobody_is_told(tell: Tell) -> None:
    for source in (PLAIN, TAUGHT):
        told = await tell({**ASKED, "tool_choice": "none"}, source)
        assert (said(told), told.tools) == ([("user", "Rain?")], [])


async def test_calls_and_their_answers_are_text_where_a_template_has_no_form_for_them(
    tell: Tell,
) -> None:
    told = await tell({**ASKED, "messages": CALLED}, PLAIN)
    first = '{"tool_call": {"name": "weather", "arguments": {"city": "Paris"}}}'
    second = '{"tool_call": {"name": "weather", "arguments": {}}}'
    assert said(told)[1:] == [
        ("user", "Rain?"),
        ("assistant", f"I look.\n{first}\n{second}"),
        ("user", "weather has answered:\nsunny\n\nweather has answered:\nrain"),
    ]
    assert all(not message.tool_calls for message in told.messages or ())


async def test_a_template_with_a_form_for_calls_gets_them(tell: Tell) -> None:
    told = await tell({**ASKED, "messages": CALLED}, TAUGHT)
    assert [len(message.tool_calls) for message in told.messages or ()] == [0, 2, 0, 0]


async def test_the_family_is_the_templates_own_if_it_has_told_of_the_tools(opened: Open) -> None:
    for source, family in ((TAUGHT, "hermes"), (PLAIN + "<tool_call>", "generic")):
        loaded, asked = opened(source), request(ASKED)
        told = await tool_use.as_told(loaded, asked)
        form = tool_use.form(loaded, asked, told, [1])
        assert form is not None and form.family is not None
        assert (form.family.name, form.most) == (family, None)


@pytest.mark.parametrize(
    "one", [{"parallel_tool_calls": False}, {"tool_choice": {"function": {"name": "weather"}}}]
)
async def test_there_may_be_one_call_only(opened: Open, one: dict[str, Any]) -> None:
    loaded, asked = opened(TAUGHT), request({**ASKED, **one})
    form = tool_use.form(loaded, asked, await tool_use.as_told(loaded, asked), [1])
    assert form is not None and form.most == 1


async def test_the_prompts_end_tells_whether_the_answer_begins_in_reasoning(opened: Open) -> None:
    loaded, asked = opened(PLAIN + "<think>"), request({"messages": ASKED["messages"]})
    tokenize = loaded.model.tokenizer.tokenize
    for end, inside in (("<think>\n", True), ("<think>\n\n</think>\n\n", False)):
        form = tool_use.form(loaded, asked, asked, tokenize(f"assistant:{end}", 100))
        assert form is not None and form.inside == inside


async def test_a_raw_prompts_answer_is_text(opened: Open) -> None:
    asked = request({"prompt": "<think>"})
    assert tool_use.form(opened(PLAIN + "<think>"), asked, asked, [1]) is None


UNHEARD = {"type": "object", "properties": {"a": {"if": {"const": 1}}}}


async def held(loaded: Any, fields: dict[str, Any]) -> Any:
    asked = request({**ASKED, **fields})
    form = tool_use.form(loaded, asked, await tool_use.as_told(loaded, asked), [1])
    return await answer_form.constraint(loaded, asked, form, asyncio.to_thread)


async def test_a_strict_schema_that_cannot_be_had_is_refused_by_its_name(opened: Open) -> None:
    tools = [{"function": WEATHER}, {"function": {"name": "b", "parameters": UNHEARD}}]
    loose = {"tools": tools, "tool_choice": "required"}
    assert await held(opened(PLAIN), loose) is not None
    tools[1] = {"function": {"name": "b", "parameters": UNHEARD, "strict": True}}
    for choice in ("required", "auto"):
        with pytest.raises(InvalidRequest, match=r"tools\[1\]\.function\.parameters"):
            await held(opened(PLAIN), {"tools": tools, "tool_choice": choice})


async def test_an_answer_is_free_unless_something_must_be_held(opened: Open) -> None:
    loaded = opened(TAUGHT)
    assert await held(loaded, {}) is None
    assert await held(loaded, {"tool_choice": "none"}) is None
    strict = {"tools": [{"function": {**WEATHER, "strict": True}}]}
    for fields in (
        {"tool_choice": "required"},
        strict,
        {"response_format": {"type": "json_object"}},
    ):
        assert await held(loaded, fields) is not None


@pytest.mark.parametrize("source", [PLAIN, TAUGHT + "<function= <arg_key>"])
async def test_a_schema_nested_too_deeply_is_refused(opened: Open, source: str) -> None:
    """By the contract, by what tells it to the model, or by what makes a grammar of it."""
    for levels in range(470, 500):
        deep = f"""{'{"properties": {"a": ' * levels}{{"type": "string"}}{"}}" * levels}"""
        tool = f'{{"function": {{"name": "f", "strict": true, "parameters": {deep}}}}}'
        said = '"messages": [{"role": "user", "content": "a"}]'
        with pytest.raises(InvalidRequest):
            asked = decode(f'{{{said}, "tools": [{tool}]}}'.encode(), InferenceRequest)
            loaded = opened(source)
            told = await tool_use.as_told(loaded, asked)
            form = tool_use.form(loaded, asked, told, [1])
            await answer_form.constraint(loaded, asked, form, asyncio.to_thread)


def compilers() -> list[psutil.Process]:
    """Those that other tests have left are not ours."""
    return [child for child in running(grammar_check) if child.pid not in LEFT]


LEFT: set[int] = set()


@pytest.fixture(autouse=True)
def _left(model: Model) -> None:
    model.grammars.close()
    LEFT.clear()
    LEFT.update(child.pid for child in compilers())


def strict(count: int, parameters: dict[str, Any]) -> dict[str, Any]:
    functions = [{"name": f"f{n}", "strict": True, "parameters": parameters} for n in range(count)]
    return {"tools": [{"function": each} for each in functions]}


async def test_many_strict_functions_are_prepared_together(opened: Open) -> None:
    parameters = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(8)}}
    loaded = opened(TAUGHT)
    assert await held(loaded, strict(1, parameters)) is not None
    [compiler] = compilers()
    before = sum(compiler.cpu_times()[:2])
    assert await held(loaded, strict(100, parameters)) is not None
    alone = sum(compiler.cpu_times()[:2]) - before
    assert compilers() == [compiler]
    # It may compute for two seconds a request: a hundred requests would have their own each.
    assert alone < 2


async def test_more_functions_than_can_be_held_are_refused_soon_and_by_their_number(
    opened: Open,
) -> None:
    parameters = {"type": "object", "properties": {f"p{n}": {"type": "integer"} for n in range(9)}}
    with pytest.raises(InvalidRequest, match="500 functions are too much together") as caught:
        await held(opened(TAUGHT), strict(500, parameters))
    assert caught.value.details["errors"][0]["field"] == "tools"


async def test_schemas_that_are_too_large_together_are_refused_before_anything_is_compiled(
    opened: Open,
) -> None:
    long = {"type": "object", "properties": {"a": {"enum": ["x" * 9_000]}}}
    loaded = opened(TAUGHT)
    loaded.model = SimpleNamespace(tokenizer=loaded.model.tokenizer, grammars=None)
    with pytest.raises(InvalidRequest, match="more than 1000000 bytes together"):
        await held(loaded, strict(120, long))


async def test_the_work_on_a_schema_ends_with_its_asker(opened: Open) -> None:
    """The process that compiles it is killed, and the next request gets another."""
    products = [{"type": "integer", "multipleOf": n} for n in (7, 11, 13, 17, 19, 23, 29)]
    loaded = opened(TAUGHT)
    assert await held(loaded, strict(1, {"type": "object"})) is not None
    [compiler] = compilers()
    before = compiler.cpu_times().user
    slow = {"type": "object", "properties": {"a": {"allOf": products}}}
    asking = asyncio.create_task(held(loaded, strict(1, slow)))
    async with asyncio.timeout(20):
        while compiler.cpu_times().user < before + 0.2:  # noqa: ASYNC110  another process
            await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled()
    assert compilers() == []
    assert await held(loaded, strict(1, {"type": "object", "title": "another"})) is not None
