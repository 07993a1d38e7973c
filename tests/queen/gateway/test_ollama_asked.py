"""Ollama's requests as tasks."""

from __future__ import annotations

from typing import Any

import pytest

from rbee.contract.errors import InvalidRequest
from rbee.contract.ollama import OllamaChat, OllamaEmbed, OllamaGenerate
from rbee.contract.validation import convert
from rbee.queen.gateway.ollama import conversation
from rbee.queen.gateway.ollama.asked import chat_task, embedding_request, generate_task, load_task
from rbee.queen.gateway.ollama.conversation import Turn
from rbee.queen.gateway.ollama.values import parameter_size, rfc3339, seconds

HI = [{"role": "user", "content": "Hi"}]


def chat(**fields: Any) -> Any:
    return chat_task(convert({"messages": HI, **fields}, OllamaChat), "m")


def generate(**fields: Any) -> Any:
    return generate_task(convert({"prompt": "Hi", **fields}, OllamaGenerate), "m")


def refused(error: pytest.ExceptionInfo[InvalidRequest]) -> str:
    return str(error.value.details["errors"][0]["field"])


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (5, 5.0),
        (-1, -1.0),
        ("-1", -1.0),
        ("0", 0.0),
        ("90", 90.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("-1s", -1.0),
        ("-1m30s", -90.0),
        ("300ms", 0.3),
        ("24h0m0s", 86400.0),
    ],
)
def test_durations_are_read_as_go_writes_them(written: float | str, wanted: float) -> None:
    assert seconds(written) == pytest.approx(wanted)
    assert chat(keep_alive=written).keep_alive == pytest.approx(wanted)


@pytest.mark.parametrize("wrong", ["", "long", "m5", "1h-1m", "nan", "--5m", "1h 5m"])
def test_other_texts_are_no_durations(wrong: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        seconds(wrong)
    assert refused(error) == "keep_alive"


def test_options_that_mean_nothing_are_as_good_as_none() -> None:
    options = {"num_predict": -1, "seed": -1, "top_k": -1, "stop": "", "num_ctx": 9, "numa": True}
    task = chat(options=options, format="", think=None, tools=[], keep_alive=None)
    assert (task.max_tokens, task.seed, task.top_k, task.stop) == (1536, None, 0, [])
    assert task.response_format is None and task.think is None and task.keep_alive is None
    task = chat(options={"top_p": 0, "num_predict": 7.0, "seed": 0, "stop": ["a", ""]})
    assert (task.top_k, task.max_tokens, task.seed, task.stop) == (1, 7, 0, ["a"])


@pytest.mark.parametrize("tokens", [0, -1, -2])
def test_what_is_as_good_as_no_limit_is_the_limit_of_a_chat(tokens: int) -> None:
    assert chat(options={"num_predict": tokens}).max_tokens == 1536


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"options": {"temperature": 9}}, "options.temperature"),
        ({"options": {"num_predict": 1_000_001}}, "options.num_predict"),
        ({"options": {"top_k": 1.5}}, "options.top_k"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"format": "xml"}, "format"),
        ({"think": "often"}, "think"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"messages": [{"role": "user", "content": "a", "images": ["x"]}]}, "messages[0].images"),
        ({"messages": [{"role": "boss", "content": "a"}]}, "messages[0].role"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name_in_the_protocol(fields: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        chat(**fields)
    assert refused(error) == field


def test_thinking_is_on_or_off_and_its_steps_are_for_the_template() -> None:
    assert chat(think=False).think is False
    assert chat(think=True).chat_template_kwargs == {}
    task = chat(think="high")
    assert (task.think, task.chat_template_kwargs) == (True, {"reasoning_effort": "high"})


def test_an_answer_of_a_tool_is_tied_to_its_call() -> None:
    def call(name: str, **more: Any) -> dict[str, Any]:
        return {"function": {"name": name, "arguments": {"a": 1}}, **more}

    said = [
        {"role": "assistant", "tool_calls": [call("f"), call("f"), call("g", id="mine")]},
        {"role": "tool", "tool_name": "f", "content": "1"},
        {"role": "tool", "tool_call_id": "mine", "content": "3"},
        {"role": "tool", "content": "2"},
        {"role": "tool", "content": "of nothing"},
    ]
    task = chat(messages=said)
    assert task.messages is not None
    calls = [each.id for each in task.messages[0].tool_calls]
    assert calls == ["call00000", "call00001", "mine"]
    answers = [(each.tool_call_id, each.name) for each in task.messages[1:]]
    assert answers == [("call00000", "f"), ("mine", "g"), ("call00001", "f"), (None, None)]
    assert task.messages[0].content is None
    assert task.messages[0].tool_calls[0].function.arguments == '{"a": 1}'


@pytest.mark.parametrize(
    ("turns", "goes_on"),
    [
        ([("user", "Hi"), ("assistant", "The answer is")], True),
        ([("assistant", "The answer is")], False),
        ([("user", "Hi"), ("assistant", "")], False),
        ([("user", "Hi")], False),
    ],
)
def test_an_answer_goes_on_from_what_the_assistant_has_begun(
    turns: list[tuple[str, str]], goes_on: bool
) -> None:
    task = chat(messages=[{"role": role, "content": content} for role, content in turns])
    assert bool(task.continue_final_message) is goes_on


@pytest.mark.parametrize("choice", [{"function": {"name": "f"}}, {"name": "f"}])
def test_a_function_that_must_be_called_is_named_as_clients_do(choice: dict[str, Any]) -> None:
    """ollama-ai-provider-v2 of the AI SDK leaves out the object around the name."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    task = chat(tools=tools, tool_choice={"type": "function", **choice})
    assert task.tool_choice.function.name == "f"
    with pytest.raises(InvalidRequest) as caught:
        chat(tools=tools, tool_choice={"type": "function"})
    assert refused(caught) == "tool_choice.function.name"


def test_tools_may_leave_out_what_they_do_not_say() -> None:
    function = {"name": "f", "description": None, "parameters": None, "strict": True}
    (tool,) = chat(tools=[{"type": "function", "function": function}]).tools
    assert (tool.function.name, tool.function.parameters, tool.function.strict) == ("f", {}, True)


def test_a_prompt_is_a_conversation_unless_it_is_raw() -> None:
    task = generate(system="Be kind", think=False)
    assert [(each.role, each.content) for each in task.messages] == [
        ("system", "Be kind"),
        ("user", "Hi"),
    ]
    raw = generate(raw=True, system="Be kind", think="low")
    assert (raw.prompt, raw.messages, raw.think) == ("Hi", None, None)


def test_a_context_is_the_conversation_so_far() -> None:
    context = conversation.written(
        [Turn("system", "Old"), Turn("user", "ä"), Turn("assistant", "b")]
    )
    task = generate(context=context, system="New")
    assert [each.content for each in task.messages] == ["New", "ä", "b", "Hi"]
    for wrong in ([300], [-1], [1, 2, 3], list(b'{"role": 1}')):
        with pytest.raises(InvalidRequest) as error:
            generate(context=wrong)
        assert refused(error) == "context"
    assert generate(context=[]).messages[0].content == "Hi"


@pytest.mark.parametrize("field", ["suffix", "template"])
def test_what_can_not_be_had_is_refused_and_its_empty_form_is_not(field: str) -> None:
    assert generate(**{field: ""}).messages
    with pytest.raises(InvalidRequest) as error:
        generate(**{field: "x"})
    assert refused(error) == field


def test_loading_asks_for_as_little_as_possible() -> None:
    task = load_task(convert({"keep_alive": "5m"}, OllamaChat), "m")
    assert (task.max_tokens, task.keep_alive, task.cache_prompt) == (1, 300.0, False)


def test_no_text_has_no_vectors() -> None:
    for nothing in ("", [], None):
        assert embedding_request(convert({"input": nothing}, OllamaEmbed)) is None
    with pytest.raises(InvalidRequest):
        embedding_request(convert({"input": ["a", ""]}, OllamaEmbed))


def test_sizes_and_times_are_written_as_ollama_writes_them() -> None:
    sizes = [parameter_size(each) for each in (12, 22_700, 134_515_008, 8_030_261_248, 10**12)]
    assert sizes == ["12", "22.70K", "134.52M", "8.0B", "1.0T"]
    assert rfc3339(0.5) == "1970-01-01T00:00:00.500000Z"
    far = [rfc3339(each) for each in (1e308, 1e12, -1e308, -1e12)]
    assert far == ["9999-12-31T00:00:00.000000Z"] * 2 + ["0001-01-02T00:00:00.000000Z"] * 2


def test_a_call_that_must_come_is_one() -> None:
    """A small model would go on calling."""
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    assert chat(tools=tools, tool_choice="required").parallel_tool_calls is False
    assert chat(tools=tools, tool_choice="auto").parallel_tool_calls is True
