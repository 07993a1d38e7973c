"""Tools for a model whose chat template knows of none: told in the conversation, as text.

The model is told the functions in the system's turn, and to answer with `{"tool_call": …}`. Calls
that were made are shown in that form, and what the functions have answered is a turn of the user.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from rbee.contract.tasks import Message, Tool, ToolCall

_TOLD = """\
You can call functions. Each is described here as JSON, with a JSON schema of its parameters:

{functions}

To call a function, answer with nothing but an object of this form, one for each call:
{{"tool_call": {{"name": "a function", "arguments": {{"a parameter": "its value"}}}}}}
If no function helps, answer in words."""


def with_tools_told(messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """The conversation, which begins with the description of the tools."""
    told = _TOLD.format(functions="\n".join(map(_described, tools)))
    if messages and messages[0].role in ("system", "developer"):
        first = replace(messages[0], content=f"{messages[0].content}\n\n{told}")
        return [first, *messages[1:]]
    return [Message("system", told), *messages]


def with_calls_told(messages: Sequence[Message]) -> list[Message]:
    """The conversation with earlier calls and their answers as text. Answers that follow each other
    are one turn."""
    names = {call.id: call.function.name for said in messages for call in said.tool_calls}
    told: list[Message] = []
    answers = False
    for message in messages:
        if message.role == "tool":
            name = names.get(message.tool_call_id or "") or message.name or "The function"
            text = f"{name} has answered:\n{message.content}"
            if answers:
                text = f"{told.pop().content}\n\n{text}"
            told.append(Message("user", text))
        elif message.tool_calls:
            calls = "\n".join(map(_called, message.tool_calls))
            text = f"{message.content}\n{calls}" if message.content else calls
            told.append(replace(message, content=text, tool_calls=[]))
        else:
            told.append(message)
        answers = message.role == "tool"
    return told


def _described(tool: Tool) -> str:
    return json.dumps(dict(_parts(tool)), ensure_ascii=False)


def _parts(tool: Tool) -> Iterator[tuple[str, object]]:
    function = tool.function
    yield "name", function.name
    if function.description is not None:
        yield "description", function.description
    yield "parameters", function.parameters


def _called(call: ToolCall) -> str:
    name = json.dumps(call.function.name)
    return f'{{"tool_call": {{"name": {name}, "arguments": {call.function.arguments or "{}"}}}}}'
