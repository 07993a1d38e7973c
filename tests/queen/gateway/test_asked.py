"""OpenAI's requests as tasks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rbee.contract.errors import InvalidRequest
from rbee.contract.openai import ChatRequest, CompletionRequest, EmbeddingsRequest, RankRequest
from rbee.contract.tasks import JsonSchema, ResponseFormat, TaskRequest
from rbee.contract.validation import decode
from rbee.queen.gateway.openai.asked import (
    chat_tasks,
    completion_tasks,
    embedding_request,
    rerank_request,
)

HI = [{"role": "user", "content": "Hi"}]
ADD = {
    "type": "function",
    "function": {"name": "add", "description": None, "parameters": None, "strict": True, "x": 1},
}


def chat(**fields: Any) -> list[TaskRequest]:
    body = msgspec.json.encode({"messages": HI, **fields})
    return chat_tasks(decode(body, ChatRequest), "m")


def complete(**fields: Any) -> list[TaskRequest]:
    body = msgspec.json.encode({"prompt": "Once", **fields})
    return completion_tasks(decode(body, CompletionRequest), "m")


def fields_of(task: TaskRequest) -> dict[str, Any]:
    """Those that differ from the default of a task."""
    plain = msgspec.to_builtins(TaskRequest(prompt="p"))
    found = msgspec.to_builtins(task)
    return {name: value for name, value in found.items() if plain[name] != value}


def test_what_is_not_given_has_the_default_of_a_task() -> None:
    [task] = chat()
    assert fields_of(task) == {
        "prompt": None,
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 1536,
        "model": "m",
    }
    [task] = complete()
    assert fields_of(task) == {"prompt": "Once", "max_tokens": 16, "model": "m"}


SHARED = {
    "temperature": 1.5,
    "top_p": 0.5,
    "top_k": 3,
    "min_p": 0.1,
    "repeat_penalty": 1.1,
    "presence_penalty": 0.25,
    "frequency_penalty": -0.25,
    "logit_bias": {"5": 2.0},
    "grammar": 'root ::= "a"',
    "cache_prompt": False,
    "keep_alive": "10m",
    "seed": 7,
    "stop": ["a", "b"],
}


@pytest.mark.parametrize(("name", "value"), SHARED.items())
def test_each_field_arrives(name: str, value: object) -> None:
    for tasks in (chat(**{name: value}), complete(**{name: value})):
        assert getattr(tasks[0], name) == value


@pytest.mark.parametrize("name", [*SHARED, "max_tokens", "n", "stream", "tools", "tool_choice"])
def test_null_is_as_good_as_nothing(name: str) -> None:
    assert chat(**{name: None}) == chat()


def test_what_is_unknown_or_changes_nothing_is_ignored() -> None:
    more = {"user": "u", "prompt_cache_key": "k", "store": True, "metadata": {}, "nobody": [1]}
    assert chat(**more) == chat()
    assert complete(ignore_eos=True)[0].ignore_eos


@pytest.mark.parametrize(
    ("stop", "found"),
    [("END", ["END"]), ("", []), (["", "a", ""], ["a"]), (["a"] * 64, ["a"] * 64)],
)
def test_stop_sequences_stand_alone_or_in_a_list_and_empty_ones_are_none(
    stop: object, found: list[str]
) -> None:
    for tasks in (chat(stop=stop), complete(stop=stop)):
        assert tasks[0].stop == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"top_p": 0}, {"top_k": 1}),
        ({"top_p": 0.0, "top_k": 40}, {"top_k": 1}),
        ({"top_k": -1}, {"top_k": 0}),
        ({"max_tokens": -1}, {}),
    ],
)
def test_numbers_that_other_servers_take_mean_the_same(
    asked: dict[str, Any], found: dict[str, Any]
) -> None:
    for plain, task in ((chat(), chat(**asked)), (complete(), complete(**asked))):
        assert fields_of(task[0]) == fields_of(plain[0]) | found


def test_choices_have_seeds_of_their_own() -> None:
    assert [task.seed for task in chat(n=3, seed=5)] == [5, 6, 7]
    assert [task.seed for task in chat(n=2)] == [None, None]
    assert chat(seed=-2)[0].seed == 0xFFFF_FFFD
    assert [task.seed for task in chat(n=2, seed=-1)] == [None, None]  # as llama.cpp's clients ask


def test_the_newer_limit_counts() -> None:
    assert chat(max_tokens=5, max_completion_tokens=6)[0].max_tokens == 6
    assert chat(max_tokens=5)[0].max_tokens == 5
    assert chat(max_tokens=5, max_completion_tokens=-1)[0].max_tokens == 5


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 3}, 3),
        ({"logprobs": False}, None),
    ],
)
def test_likelihoods_of_a_chat(asked: dict[str, Any], found: int | None) -> None:
    assert chat(**asked)[0].logprobs == found


@pytest.mark.parametrize(
    ("effort", "think", "kwargs"),
    [
        ("none", False, {}),
        ("minimal", True, {"reasoning_effort": "low"}),
        ("high", True, {"reasoning_effort": "high"}),
        ("xhigh", True, {"reasoning_effort": "high"}),
        ("max", True, {"reasoning_effort": "high"}),
    ],
)
def test_effort_of_reasoning(effort: str, think: bool, kwargs: dict[str, str]) -> None:
    [task] = chat(reasoning_effort=effort)
    assert (task.think, task.chat_template_kwargs) == (think, kwargs)
    [task] = chat(reasoning_effort="low", chat_template_kwargs={"reasoning_effort": "mine"})
    assert task.chat_template_kwargs == {"reasoning_effort": "mine"}


def test_messages_of_every_kind() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": ""}}
    [task] = chat(
        messages=[
            {"role": "developer", "content": "Be kind"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                "name": "jo",
            },
            {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None},
            {"role": "tool", "content": "3", "tool_call_id": "c"},
            {"role": "assistant", "content": None},
            {"role": "assistant", "content": "x", "reasoning_content": "hm"},
        ]
    )
    assert msgspec.to_builtins(task.messages) == [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": "a\nb", "name": "jo"},
        {
            "role": "assistant",
            "tool_calls": [
                {"function": {"name": "add", "arguments": "{}"}, "id": "c", "type": "function"}
            ],
        },
        {"role": "tool", "content": "3", "tool_call_id": "c"},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": "x", "reasoning_content": "hm"},
    ]


def test_a_refusal_is_text_and_old_functions_are_tools() -> None:
    called = {"name": "add", "arguments": "{}"}
    [task] = chat(
        messages=[
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"role": "assistant", "content": None, "function_call": called},
            {"role": "function", "name": "add", "content": "3"},
        ]
    )
    assert msgspec.to_builtins(task.messages) == [
        {"role": "assistant", "content": "no"},
        {
            "role": "assistant",
            "tool_calls": [{"function": called, "id": "add", "type": "function"}],
        },
        {"role": "tool", "name": "add", "content": "3", "tool_call_id": "add"},
    ]


@pytest.mark.parametrize("kind", ["json_object", "json_schema"])
def test_a_schema_may_stand_beside_the_type_as_llama_cpp_has_it(kind: str) -> None:
    schema = {"type": "object", "required": ["x"]}
    [task] = chat(response_format={"type": kind, "schema": schema})
    assert task.response_format == ResponseFormat("json_schema", JsonSchema(schema))
    [task] = chat(response_format={"type": "json_object", "schema": {}})
    assert task.response_format == ResponseFormat("json_object")


@pytest.mark.parametrize(
    ("fields", "parallel"),
    [
        ({"tool_choice": "required"}, False),
        ({"tool_choice": "required", "parallel_tool_calls": True}, True),
        ({"tool_choice": "auto"}, True),
        ({"parallel_tool_calls": False}, False),
        ({}, True),
    ],
)
def test_a_call_that_must_come_is_one_unless_more_are_asked_for(
    fields: dict[str, Any], parallel: bool
) -> None:
    [task] = chat(tools=[ADD], **fields)
    assert task.parallel_tool_calls is parallel


def test_the_older_form_of_calls_is_refused_only_where_it_asks_for_something() -> None:
    [task] = chat(functions=[], function_call="none", modalities=["text"])
    assert task.tools == []


def test_tools_and_forms() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "null", "default": None}}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}
    choice = {"type": "function", "function": {"name": "add"}}
    [task] = chat(tools=[ADD], tool_choice=choice, parallel_tool_calls=False, response_format=form)
    assert [msgspec.to_builtins(tool) for tool in task.tools] == [
        {
            "function": {"name": "add", "description": None, "parameters": {}, "strict": True},
            "type": "function",
        }
    ]
    assert msgspec.to_builtins(task.tool_choice) == {**choice}
    assert task.parallel_tool_calls is False
    assert task.response_format is not None and task.response_format.json_schema is not None
    assert task.response_format.json_schema.schema == schema
    assert chat(response_format={"type": "json_object"})[0].response_format is not None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"functions": [{"name": "add"}]}, "functions"),
        ({"function_call": {"name": "add"}}, "function_call"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "king", "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "refusal"}]}]},
            "messages[0].content[0].refusal",
        ),
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": 9}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"top_p": 2}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"stop": ["a"] * 65}, "stop"),
        ({"stop": ["a" * 257]}, "stop[0]"),
        ({"top_p": -1}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"max_tokens": -2}, "max_tokens"),
        ({"max_completion_tokens": -2}, "max_completion_tokens"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"tools": [{"type": "web_search", "function": {"name": "a"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"stream": 1}, "stream"),
    ],
)
def test_what_is_wrong_is_named_as_the_protocol_names_it(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat(**wrong)
    assert caught.value.details["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        ([[1], [2, 3]], [[1], [2, 3]]),
        (["a", [2]], ["a", [2]]),
    ],
)
def test_prompts_of_every_kind(prompt: object, prompts: list[object]) -> None:
    assert [task.prompt for task in complete(prompt=prompt)] == prompts


def test_choices_of_several_prompts_stand_together() -> None:
    tasks = complete(prompt=["a", "b"], n=2, seed=1)
    assert [(task.prompt, task.seed) for task in tasks] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert complete(logprobs=2)[0].logprobs == 2
    assert complete(suffix="", best_of=1, echo=True) == complete()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": ["a", ""]}, "prompt[1]"),
        ({"prompt": ["a"] * 100, "n": 2}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True, "prompt": [1]}, "echo"),
        ({"echo": True, "logprobs": 1}, "echo"),
        ({"logprobs": 21}, "logprobs"),
        ({"max_tokens": -2}, "max_tokens"),
    ],
)
def test_what_is_wrong_with_a_completion_is_named(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        complete(**wrong)
    assert caught.value.details["errors"][0]["field"] == field


def test_texts_for_vectors_and_scores() -> None:
    body = b'{"model":"m","input":[[1,2]],"encoding_format":"base64","dimensions":8,"extra":1}'
    asked = embedding_request(decode(body, EmbeddingsRequest))
    assert (asked.input, asked.encoding_format, asked.dimensions, asked.model) == (
        [[1, 2]],
        "base64",
        8,
        None,
    )
    body = b'{"model":"m","query":"q","documents":["a","b"],"top_n":1,"return_documents":false}'
    ranked = rerank_request(decode(body, RankRequest))
    assert (ranked.query, ranked.documents, ranked.top_n) == ("q", ["a", "b"], 1)


@pytest.mark.parametrize("body", [b'{"input":""}', b'{"input":[]}', b'{"input":[1,"a"]}', b"{}"])
def test_texts_that_are_none(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        embedding_request(decode(body, EmbeddingsRequest))
    assert caught.value.details["errors"][0]["field"] == "input"
