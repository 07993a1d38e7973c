"""Anthropic's requests as tasks: every turn, block and tool where a task has it, or refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rbee.contract.anthropic import MessagesRequest
from rbee.contract.errors import InvalidRequest
from rbee.contract.tasks import Message, NamedTool, TaskRequest
from rbee.contract.validation import decode
from rbee.queen.gateway.anthropic import signature
from rbee.queen.gateway.anthropic.asked import counted_task, message_task, name_of

SCHEMA = {"type": "object", "properties": {"here": {"type": "boolean"}}}
TOOL = {"name": "is_day", "description": "Whether it is day", "input_schema": SCHEMA}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
CALL = {"type": "tool_use", "id": "c", "name": "is_day", "input": {}}
MUST_SEARCH = {"type": "tool", "name": "web_search"}
HI = [{"role": "user", "content": "Hi"}]


def task(**fields: Any) -> TaskRequest:
    body = {"model": "m", "max_tokens": 9, "messages": HI, **fields}
    return message_task(decode(msgspec.json.encode(body), MessagesRequest), "m")


def told(*turns: tuple[str, Any], **fields: Any) -> list[Message]:
    messages = [{"role": role, "content": content} for role, content in turns]
    return task(messages=messages, **fields).messages or []


def refused(**fields: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        task(**fields)
    return name_of(caught.value.details["errors"][0]["field"])


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def test_every_field_of_sampling_arrives() -> None:
    asked = task(
        max_tokens=7,
        temperature=0.5,
        top_p=0.25,
        top_k=3,
        stop_sequences=["##", ""],
        keep_alive="10m",
        metadata={"user_id": "u"},
        service_tier="auto",
        context_management={"edits": []},
        speed=None,
    )
    found = (asked.max_tokens, asked.temperature, asked.top_p, asked.top_k, asked.stop)
    assert found == (7, 0.5, 0.25, 3, ["##"])
    assert (asked.keep_alive, asked.think) == ("10m", False)
    assert (task(top_p=0).top_k, task(max_tokens=0).max_tokens) == (1, 1)


def test_nulls_are_as_good_as_nothing() -> None:
    names = [name for name in MessagesRequest.__struct_fields__ if name not in ("messages",)]
    nulls = {name: None for name in names if name not in ("model", "max_tokens")}
    assert task(**nulls) == task()


def test_a_system_prompt_is_text_or_blocks_without_the_line_about_billing() -> None:
    billing = "x-anthropic-billing-header: cc_version=1; cch=abc;"
    blocks = [text(billing), text("Be kind", cache_control={"type": "ephemeral"}), text("Be brief")]
    wanted = [Message("system", "Be kind\n\nBe brief"), Message("user", "Hi")]
    assert told(("user", "Hi"), system=blocks) == wanted
    assert told(("user", "Hi"), system=f"{billing}\n\nBe kind") == [
        Message("system", "Be kind"),
        Message("user", "Hi"),
    ]
    assert told(("user", "Hi"), system=[text(billing)]) == [Message("user", "Hi")]
    assert told(("system", "Be kind"), ("user", "Hi"), system="A") == [
        Message("system", "A\n\nBe kind"),
        Message("user", "Hi"),
    ]


def test_turns_of_one_role_are_one_and_a_system_is_told_among_them() -> None:
    assert told(("user", "a"), ("user", [text("b"), text("c")]), ("system", "d")) == [
        Message("user", "a\n\nb\nc\n\n<system-reminder>\nd\n</system-reminder>")
    ]
    turns = ("user", "a"), ("assistant", "b"), ("assistant", [text("c")]), ("user", "d")
    assert told(*turns) == [
        Message("user", "a"),
        Message("assistant", "b\n\nc"),
        Message("user", "d"),
    ]


def test_calls_and_their_results_come_back_with_the_reasoning() -> None:
    answer = [
        {"type": "thinking", "thinking": "hm", "signature": signature.of("hm", shown=True)},
        {"type": "redacted_thinking", "data": "x"},
        text("Let me look"),
        {"type": "tool_use", "id": "c1", "name": "is_day", "input": {"here": True}},
        {"type": "tool_use", "id": "c2", "name": "is_day", "input": {}},
    ]
    results = [
        {"type": "tool_result", "tool_use_id": "c1", "content": "yes"},
        {
            "type": "tool_result",
            "tool_use_id": "c2",
            "content": [text("n"), text("o")],
            "is_error": True,
        },
        text("Well?"),
    ]
    _, called, first, second, last = told(("user", "Hi"), ("assistant", answer), ("user", results))
    assert (called.content, called.reasoning_content) == ("Let me look", "hm")
    calls = [(each.id, each.function.name, each.function.arguments) for each in called.tool_calls]
    assert calls == [("c1", "is_day", '{"here":true}'), ("c2", "is_day", "{}")]
    assert (first.role, first.tool_call_id, first.content) == ("tool", "c1", "yes")
    assert (second.tool_call_id, second.content) == ("c2", "Error: n\no")
    assert (last.role, last.content) == ("user", "Well?")


def test_reasoning_that_was_not_shown_is_in_its_signature() -> None:
    hidden = {"type": "thinking", "thinking": "", "signature": signature.of("é?", shown=False)}
    turns = ("user", "a"), ("assistant", [hidden, text("b")]), ("user", "c")
    assert told(*turns)[1].reasoning_content == "é?"
    for of_others in ("EqoBCkgIARAB", "rbee.%%%", "rbee.//8=", None):
        other = {**hidden, "signature": of_others}
        assert told(("user", "a"), ("assistant", [other, text("b")]), ("user", "c"))[1] == Message(
            "assistant", "b"
        )


def test_an_answer_goes_on_from_what_the_assistant_has_begun() -> None:
    begun = task(messages=[*HI, {"role": "assistant", "content": "The answer is ("}])
    assert begun.continue_final_message
    assert begun.messages == [Message("user", "Hi"), Message("assistant", "The answer is (")]
    assert task().continue_final_message is None


def test_documents_of_text_and_search_results_are_text() -> None:
    plain = {"type": "text", "media_type": "text/plain", "data": "Cats purr."}
    found = {"type": "search_result", "source": "http://x", "title": "T", "content": [text("c")]}
    blocks = [
        {"type": "document", "source": plain, "title": "Cats", "context": None},
        {"type": "document", "source": {"type": "content", "content": [text("Dogs")]}},
        found,
    ]
    assert told(("user", blocks))[0].content == "Cats\nCats purr.\nDogs\nT\nhttp://x\nc"


def test_what_servers_of_anthropic_left_behind_is_skipped() -> None:
    answer = [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "u"}]},
        text("b"),
    ]
    turns = ("user", "a"), ("assistant", answer), ("user", "c")
    assert told(*turns)[1] == Message("assistant", "b")


PDF = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "x"},
}
IMAGE = {"type": "image", "source": {"type": "url", "url": "x"}}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [PDF]}]}, "messages[0].content[0].source.type"),
        (
            {"messages": [{"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": [text("a"), IMAGE]}
            ]}]},
            "messages[0].content[0].content[1].type",
        ),
        (
            {"messages": [{"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": [{"text": "a"}]}
            ]}]},
            "messages[0].content[0].content[0].type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "a"}]}]},
            "messages[0].content[0].tool_use_id",
        ),
        ({"messages": [{**HI[0], "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [*HI, {"role": "assistant", "content": [CALL]}]}, "messages"),
        ({"messages": [{"role": "system", "content": "a"}]}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages[0].role"),
        ({"system": [IMAGE]}, "system[0].type"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": None}, "max_tokens"),
        ({"temperature": 9}, "temperature"),
        ({"stop_sequences": ["x" * 300]}, "stop_sequences[0]"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"thinking": {"type": "maybe"}}, "thinking.type"),
        ({"output_config": {"effort": "none"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"tools": [TOOL, {**TOOL, "name": "a b"}]}, "tools[1].name"),
        ({"tools": [TOOL, TOOL]}, "tools"),
        ({"tools": [SEARCH]}, "tools[0].type"),
        ({"tools": [TOOL, SEARCH], "tool_choice": MUST_SEARCH}, "tools[1].type"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice.name"),
        ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
        ({"thread": {"type": "create"}}, "thread"),
        ({"compaction": {"instructions": "x"}}, "compaction"),
    ],
)  # fmt: skip
def test_what_can_not_be_had_is_refused_by_its_name(fields: dict[str, Any], field: str) -> None:
    assert refused(**fields) == field


def test_blocks_in_blocks_have_an_end() -> None:
    nested: Any = [text("a")]
    for _ in range(300):
        nested = [{"type": "document", "source": {"type": "content", "content": nested}}]
    with pytest.raises(InvalidRequest):
        told(("user", nested))


@pytest.mark.parametrize(
    ("choice", "wanted", "parallel"),
    [
        ({"type": "auto"}, "auto", True),
        ({"type": "any", "disable_parallel_tool_use": True}, "required", False),
        ({"type": "any"}, "required", False),
        ({"type": "any", "disable_parallel_tool_use": False}, "required", True),
        ({"type": "none"}, "none", True),
        ({"type": "tool", "name": "is_day"}, "is_day", True),
    ],
)
def test_tools_and_the_choice_of_one(choice: Any, wanted: str, parallel: bool) -> None:
    asked = task(tools=[{**TOOL, "strict": True, "type": "custom"}], tool_choice=choice)
    [tool] = asked.tools
    assert (tool.function.name, tool.function.parameters) == ("is_day", SCHEMA)
    assert (tool.function.description, tool.function.strict) == ("Whether it is day", True)
    found = asked.tool_choice
    assert (found.function.name if isinstance(found, NamedTool) else found) == wanted
    assert asked.parallel_tool_calls is parallel


def test_tools_that_only_anthropic_has_are_left_out_beside_others() -> None:
    assert [each.function.name for each in task(tools=[SEARCH, TOOL]).tools] == ["is_day"]


def test_a_deferred_tool_is_told_of_once_a_search_has_found_it() -> None:
    tools = [TOOL, {**TOOL, "name": "late", "defer_loading": True}]
    assert [each.function.name for each in task(tools=tools).tools] == ["is_day"]
    found = [{"type": "tool_reference", "tool_name": "late"}]
    result = {"type": "tool_result", "tool_use_id": "c", "content": found}
    messages = [
        *HI,
        {"role": "assistant", "content": [CALL]},
        {"role": "user", "content": [result]},
    ]
    asked = task(tools=tools, messages=messages)
    assert [each.function.name for each in asked.tools] == ["is_day", "late"]
    assert asked.messages and asked.messages[-1].content == "The tool late can be called now."
    server = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}
    assert len(task(tools=[*tools, server]).tools) == 2


def test_thinking_effort_and_forms() -> None:
    for kind, think in [("enabled", True), ("adaptive", True), ("disabled", False)]:
        assert task(thinking={"type": kind, "budget_tokens": 1024}).think is think
    form = {"type": "json_schema", "schema": {"type": "integer"}}
    for fields in ({"output_config": {"effort": "max", "format": form}}, {"output_format": form}):
        asked = task(**fields)
        assert asked.response_format and asked.response_format.json_schema
        assert asked.response_format.json_schema.schema == {"type": "integer"}
    assert task(output_config={"effort": "max"}).chat_template_kwargs == {
        "reasoning_effort": "high"
    }


def test_what_is_counted_is_what_would_be_asked() -> None:
    body = {"messages": HI, "system": "S", "tools": [TOOL], "tool_choice": {"type": "any"}}
    whole = decode(msgspec.json.encode({**body, "max_tokens": 9}), MessagesRequest)
    counted, asked = counted_task(whole, "m"), message_task(whole, "m")
    assert msgspec.structs.replace(counted, max_tokens=9) == asked
