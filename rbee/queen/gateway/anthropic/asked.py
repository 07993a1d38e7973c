"""Anthropic's requests as tasks: each field where a task has it, and what can't be had refused by
its name in the protocol."""

from __future__ import annotations

import re
from typing import Any

from rbee.contract.anthropic import (
    AnthropicTool,
    AnthropicToolChoice,
    CountTokensRequest,
    MessagesRequest,
)
from rbee.contract.errors import InvalidRequest
from rbee.contract.tasks import TaskRequest, Tool
from rbee.contract.validation import convert
from rbee.queen.gateway.anthropic import turns
from rbee.queen.gateway.fields import task

_SAME = ("temperature", "top_p", "top_k", "keep_alive")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# Templates know no finer steps, and some refuse what they do not know.
_EFFORTS = {"xhigh": "high", "max": "high"}
_CANNOT = {
    "mcp_servers": "The queen connects to no MCP servers: let the client do it, and send tools",
    "thread": "The queen keeps no conversations: send all messages",
    "compaction": "The queen doesn't summarize conversations: ask the model for a summary",
}
_SEARCHES = "tool_search_tool_"
# The fields of a task by their names in the protocol.
_NAMES = (
    (re.compile(r"^(prompt|continue_final_message)$"), "messages"),
    (re.compile(r"^stop(?=$|\[)"), "stop_sequences"),
    (re.compile(r"^response_format.*"), "output_config.format.schema"),
    (re.compile(r"^(tools\[\d+\])\.function\.parameters"), r"\1.input_schema"),
    (re.compile(r"^(tools\[\d+\])\.function"), r"\1"),
)


def message_task(asked: MessagesRequest, model: str) -> TaskRequest:
    """The task of a message. Raises INVALID_REQUEST."""
    fields = _shared(asked, model)
    # One token has to be made of a prompt that is only read; it is not shown.
    fields["max_tokens"] = asked.max_tokens or 1
    for name in _SAME:
        if (value := getattr(asked, name)) is not None:
            fields[name] = value
    if asked.top_p == 0:  # nothing but the likeliest token
        del fields["top_p"]
        fields["top_k"] = 1
    if asked.stop_sequences:
        fields["stop"] = [stop for stop in asked.stop_sequences if stop]
    return task(fields, {})


def counted_task(asked: CountTokensRequest, model: str) -> TaskRequest:
    """The task whose prompt is counted. Raises INVALID_REQUEST."""
    return task(_shared(asked, model), {})


def name_of(field: str) -> str:
    """What the protocol calls a field of a task."""
    for pattern, name in _NAMES:
        field = pattern.sub(name, field)
    return field


def _shared(asked: CountTokensRequest, model: str) -> dict[str, Any]:
    """The fields that make up the prompt, and the form of the answer."""
    for name, message in _CANNOT.items():
        if getattr(asked, name):
            raise InvalidRequest.of(name, "none", message)
    messages = turns.messages(asked.system, asked.messages)
    fields: dict[str, Any] = {"model": model, "messages": messages, "think": False}
    if messages[-1]["role"] == "assistant":
        fields["continue_final_message"] = True
    if asked.thinking is not None:
        fields["think"] = asked.thinking.type != "disabled"
    tools = _tools(asked)
    if tools:
        fields["tools"] = tools
    if asked.tool_choice is not None:
        fields |= _choice(asked.tool_choice, [tool["function"]["name"] for tool in tools])
    if asked.output_config is not None and (effort := asked.output_config.effort):
        fields["chat_template_kwargs"] = {"reasoning_effort": _EFFORTS.get(effort, effort)}
    form = (asked.output_config and asked.output_config.format) or asked.output_format
    if form is not None:
        fields["response_format"] = {"type": form.type, "json_schema": {"schema": form.schema}}
    return fields


def _tools(asked: CountTokensRequest) -> list[dict[str, Any]]:
    """The functions that the model is told of. Raises INVALID_REQUEST for a tool of Anthropic's
    that nothing else stands beside, or that must be called: its answer would be made up."""
    tools = asked.tools or []
    foreign = {at for at, tool in enumerate(tools) if tool.type not in (None, "custom")}
    chosen = asked.tool_choice.name if asked.tool_choice else None
    for at in sorted(foreign):
        if len(foreign) == len(tools) or (chosen and chosen == tools[at].name):
            message = "Only Anthropic's own models and servers have this tool: rbee can't run it"
            raise InvalidRequest.of(f"tools[{at}].type", "custom", message, tools[at].type)
    searched = any((tools[at].type or "").startswith(_SEARCHES) for at in foreign)
    found = turns.names_of_references(asked.messages)
    return [
        _tool(f"tools[{at}]", tool)
        for at, tool in enumerate(tools)
        if at not in foreign and (searched or not tool.defer_loading or tool.name in found)
    ]


def _tool(field: str, tool: AnthropicTool) -> dict[str, Any]:
    if tool.input_schema is None:
        raise InvalidRequest.of(f"{field}.input_schema", "a schema", "Expected a JSON schema")
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.input_schema}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    found = {"type": "function", "function": function}
    try:
        convert(found, Tool)
    except InvalidRequest as error:
        [wrong] = error.details["errors"]
        place = f"{field}.{wrong['field'].removeprefix('function.')}"
        rest = wrong["constraint"], wrong["message"], wrong["value"]
        raise InvalidRequest.of(place, *rest) from None
    return found


def _choice(choice: AnthropicToolChoice, names: list[str]) -> dict[str, Any]:
    """How a task says it. Without tools there is nothing to choose, which only `any` and `tool`
    need."""
    fields: dict[str, Any] = {}
    # A small model that must call would go on calling.
    if choice.disable_parallel_tool_use or (
        choice.type == "any" and choice.disable_parallel_tool_use is None
    ):
        fields["parallel_tool_calls"] = False
    if choice.type != "tool":
        return {**fields, "tool_choice": _CHOICES[choice.type]}
    if choice.name not in names:
        message = "Expected the name of one of the tools"
        raise InvalidRequest.of("tool_choice.name", "one of the tools", message, choice.name)
    named = {"type": "function", "function": {"name": choice.name}}
    return {**fields, "tool_choice": named}
