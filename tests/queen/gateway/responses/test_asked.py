"""Requests for responses as tasks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rbee.contract.errors import InvalidRequest, PromptTooLong
from rbee.contract.responses import ResponsesRequest, ResponseTool
from rbee.contract.tasks import TaskRequest
from rbee.contract.validation import decode
from rbee.queen.gateway.responses.asked import renamed, response_task
from rbee.queen.gateway.responses.tools import Tools

ADD = {"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": True}
SEARCH = {"type": "function", "name": "search"}
SPACE = {"type": "namespace", "name": "docs", "description": "d", "tools": [SEARCH, {"type": "x"}]}


def task(**fields: Any) -> TaskRequest:
    asked = decode(msgspec.json.encode({"input": "Hi", **fields}), ResponsesRequest)
    return response_task(asked, "m", Tools(asked.tools or ()))


def fields_of(found: TaskRequest) -> dict[str, Any]:
    """Those that differ from the default of a task."""
    plain = msgspec.to_builtins(TaskRequest(prompt="p"))
    return {
        name: value for name, value in msgspec.to_builtins(found).items() if plain[name] != value
    }


def turns(*items: Any, **fields: Any) -> Any:
    return fields_of(task(input=list(items), **fields))["messages"]


def test_what_is_not_given_has_the_default_of_a_task() -> None:
    assert fields_of(task()) == {
        "prompt": None,
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 4096,
        "model": "m",
    }


def test_each_field_stands_where_a_task_has_it() -> None:
    shared = {"temperature": 1.5, "top_p": 0.5, "top_k": 3, "seed": 4, "keep_alive": "1m"}
    found = fields_of(
        task(
            **shared,
            instructions="Be kind",
            max_output_tokens=9,
            stop="#",
            parallel_tool_calls=False,
            tools=[ADD, {"type": "web_search", "filters": {}}],
            tool_choice="required",
            reasoning={"effort": "xhigh", "summary": "auto"},
            top_logprobs=2,
            store=True,
            truncation="auto",
            service_tier="flex",
            include=["reasoning.encrypted_content"],
            metadata={"a": "b"},
            user="u",
            no_such_field=1,
        )
    )
    assert found == {
        **shared,
        "prompt": None,
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be kind"},
            {"role": "user", "content": "Hi"},
        ],
        "max_tokens": 9,
        "stop": ["#"],
        "parallel_tool_calls": False,
        "tools": [
            {
                "function": {
                    "name": "add",
                    "description": None,
                    "parameters": {"type": "object"},
                    "strict": True,
                },
                "type": "function",
            }
        ],
        "tool_choice": "required",
        "think": True,
        "chat_template_kwargs": {"reasoning_effort": "high"},
        "logprobs": 2,
    }


@pytest.mark.parametrize(
    ("fields", "parallel"),
    [
        ({"tool_choice": "required"}, False),
        ({"tool_choice": "required", "parallel_tool_calls": True}, True),
        ({"tool_choice": "auto"}, True),
    ],
)
def test_a_call_that_must_come_is_one_unless_more_are_asked_for(
    fields: dict[str, Any], parallel: bool
) -> None:
    assert task(tools=[ADD], **fields).parallel_tool_calls is parallel


def test_likelihoods_are_asked_for_in_either_way() -> None:
    assert task(include=["message.output_text.logprobs"]).logprobs == 0
    assert task(include=["message.output_text.logprobs"], top_logprobs=3).logprobs == 3
    assert task(include=["file_search_call.results"], top_logprobs=0).logprobs is None


def test_reasoning_is_off_where_its_effort_is_none() -> None:
    found = task(reasoning={"effort": "none"}, chat_template_kwargs={"a": 1})
    assert (found.think, found.chat_template_kwargs) == (False, {"a": 1})
    assert task(reasoning={"effort": None}).think is None


@pytest.mark.parametrize("kind", ["text", "json_object"])
def test_plain_forms(kind: str) -> None:
    form = task(text={"format": {"type": kind}, "verbosity": "low"}).response_format
    assert msgspec.to_builtins(form) == {"type": kind, "json_schema": None}


def test_a_schema_stands_one_level_deeper() -> None:
    schema = {"type": "object", "properties": {"a": {"default": None}}}
    form = {"type": "json_schema", "name": "n", "strict": True, "schema": schema}
    found = msgspec.to_builtins(task(text={"format": form}).response_format)
    inside = {"schema": schema, "name": "n", "description": None, "strict": True}
    assert found == {"type": "json_schema", "json_schema": inside}


def test_messages_in_all_their_forms() -> None:
    part = {"type": "input_text", "text": "a"}
    assert turns(
        {"role": "developer", "content": "d"},
        {"type": "message", "role": "system", "content": [part]},
        {"role": "user", "content": [part, {"type": "text", "text": "b"}]},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "c", "annotations": []}],
        },
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "user", "content": ""},
    ) == [
        {"role": "system", "content": "d"},
        {"role": "system", "content": "a"},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "c\nno"},
        {"role": "user", "content": ""},
    ]


def call(name: str, call_id: str, arguments: str = "{}") -> dict[str, Any]:
    return {"type": "function_call", "name": name, "call_id": call_id, "arguments": arguments}


def called(name: str, call_id: str) -> dict[str, Any]:
    return {"id": call_id, "function": {"name": name, "arguments": "{}"}, "type": "function"}


def test_reasoning_text_and_calls_are_one_turn() -> None:
    thought = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}
    parts = [{"type": "input_text", "text": "1"}, {"type": "input_text", "text": "2"}]
    assert turns(
        {"role": "user", "content": "Hi"},
        {"id": "rs_1", "summary": [], "encrypted_content": None, **thought},
        {"role": "assistant", "content": "Let me see"},
        call("add", "c1"),
        call("add", "c2", ""),
        {"type": "function_call_output", "call_id": "c1", "output": "3"},
        {"type": "function_call_output", "call_id": "c2", "output": parts},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}]},
        call("add", "c3"),
    ) == [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": "Let me see",
            "reasoning_content": "hm",
            "tool_calls": [called("add", "c1"), called("add", "c2")],
        },
        {"role": "tool", "content": "3", "tool_call_id": "c1"},
        {"role": "tool", "content": "1\n2", "tool_call_id": "c2"},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "so",
            "tool_calls": [called("add", "c3")],
        },
    ]


def test_reasoning_that_was_cut_is_a_turn() -> None:
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}]}
    assert turns({"role": "user", "content": "Hi"}, thought)[1:] == [
        {"role": "assistant", "content": "", "reasoning_content": "so"}
    ]


def test_functions_in_a_namespace_are_told_by_their_own_names() -> None:
    found = task(tools=[ADD, SPACE])
    assert [each.function.name for each in found.tools] == ["add", "search"]
    both = task(tools=[SEARCH, SPACE], input=[{**call("search", "c1"), "namespace": "docs"}])
    assert [each.function.name for each in both.tools] == ["search", "docs.search"]
    assert both.messages is not None
    assert both.messages[0].tool_calls[0].function.name == "docs.search"


def test_names_are_told_back_as_they_were_given() -> None:
    tools = Tools(msgspec.convert([SEARCH, SPACE], list[ResponseTool]))
    assert tools.own_name("docs.search") == ("search", "docs")
    assert tools.own_name("search") == ("search", None)
    assert tools.own_name("another") == ("another", None)
    assert [each.name for each in tools.reply()] == ["search", "docs"]


def test_a_choice_may_name_a_function_or_allow_some() -> None:
    named = task(tools=[ADD, SEARCH], tool_choice={"type": "function", "name": "search"})
    assert fields_of(named)["tool_choice"]["function"] == {"name": "search"}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [SEARCH]}
    some = task(tools=[ADD, SEARCH], tool_choice=allowed)
    assert ([each.function.name for each in some.tools], some.tool_choice) == (
        ["search"],
        "required",
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 3}, "input"),
        ({"input": None, "instructions": "x"}, "input"),
        ({"input": [{"id": "msg_1"}]}, "input[0].type"),
        ({"input": [{"type": "item_reference", "id": "m"}]}, "input[0].type"),
        ({"input": [{"type": "image_generation_call"}]}, "input[0].type"),
        ({"input": [{"role": "cat", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "message", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
        ({"input": [{"type": "function_call", "name": "c"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].type",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
        ),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "c"}}, "conversation"),
        ({"prompt": {"id": "p"}, "input": None}, "prompt"),
        ({"background": True}, "background"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 10**7}, "max_output_tokens"),
        ({"temperature": 9}, "temperature"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"reasoning": {"effort": "some"}}, "reasoning.effort"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [ADD, ADD]}, "tools[1].name"),
        ({"tools": [{"type": "x"}, {**ADD, "name": "a b"}]}, "tools[1].name"),
        ({"tools": [SPACE], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "some"}, "tool_choice"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        task(**fields)
    assert refused.value.details["errors"][0]["field"] == field
    assert field in refused.value.message


def test_an_error_of_the_worker_names_the_field_of_the_protocol() -> None:
    tools = Tools(msgspec.convert([{"type": "x"}, SPACE, ADD], list[ResponseTool]))
    tools.of_task(None)
    for field, name in [
        ("prompt", "input"),
        ("messages[3].tool_calls", "input"),
        ("tools[0].function.parameters", "tools[1].tools[0].parameters"),
        ("tools[1].function.parameters", "tools[2].parameters"),
        ("tools[7].function", "tools"),
        ("response_format.json_schema.schema", "text.format.schema"),
        ("seed", "seed"),
    ]:
        error = renamed(PromptTooLong.of(field, "", "Expected less"), tools)
        assert error.details["errors"][0]["field"] == name
        assert error.message == f"The request is not valid: {name}: Expected less"
        assert error.code == "PROMPT_TOO_LONG"
