"""A request for a response as a task: each field where a task has it, and what can't be had refused
by its name in the protocol."""

from __future__ import annotations

import re
from typing import Any

from rbee.contract.errors import InvalidRequest, RbeeError
from rbee.contract.responses import ResponsesRequest, TextFormat
from rbee.contract.tasks import TaskRequest
from rbee.queen.gateway.fields import given, task, with_names
from rbee.queen.gateway.openai.asked import reasoning, seed, shared
from rbee.queen.gateway.responses.conversation import messages
from rbee.queen.gateway.responses.tools import Tools

# Agents ask without a limit, and a turn that is cut has failed for them. It is more than a chat's:
# an agent writes whole files, and one works at a time.
ANSWER_TOKENS = 4096
_LOGPROBS = "message.output_text.logprobs"
_STATELESS = "Nothing is stored here: send the whole conversation as input"
_NAMES = {
    "max_tokens": "max_output_tokens",
    "logprobs": "top_logprobs",
    "prompt": "input",
    "response_format": "text.format",
    "response_format.json_schema": "text.format",
    "response_format.json_schema.schema": "text.format.schema",
}
_TOOL = re.compile(r"tools\[(?P<index>\d+)\](?:\.function)?(?P<rest>.*)", re.DOTALL)


def response_task(asked: ResponsesRequest, model: str, tools: Tools) -> TaskRequest:
    """The task. Raises INVALID_REQUEST."""
    check(asked)
    fields = shared(asked, model)
    fields["messages"] = messages(asked.input, asked.instructions, tools)
    fields["max_tokens"] = asked.max_output_tokens or ANSWER_TOKENS
    fields |= seed(asked.seed)
    fields |= tools.of_task(asked.tool_choice)
    if asked.parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = asked.parallel_tool_calls
    elif asked.tool_choice == "required":
        # A small model that must call would go on calling.
        fields["parallel_tool_calls"] = False
    if asked.text is not None and asked.text.format is not None:
        fields["response_format"] = _form(asked.text.format)
    if wants_logprobs(asked):
        fields["logprobs"] = asked.top_logprobs or 0
    effort = asked.reasoning.effort if asked.reasoning else None
    fields |= reasoning(effort, asked.chat_template_kwargs)
    try:
        return task(fields, {})
    except InvalidRequest as error:
        raise renamed(error, tools) from None


def check(asked: ResponsesRequest) -> None:
    """Raises INVALID_REQUEST for what would need an earlier response, or a later one."""
    for field in ("previous_response_id", "conversation", "prompt"):
        value = getattr(asked, field)
        if value is not None:
            raise InvalidRequest.of(field, "none", _STATELESS, value)
    if asked.background:
        message = "Nothing is stored here: wait for the answer, or stream it"
        raise InvalidRequest.of("background", "false", message, True)
    if asked.max_output_tokens is not None and asked.max_output_tokens < 1:
        limit = "at least 1"
        raise InvalidRequest.of(
            "max_output_tokens", limit, f"Expected {limit}", asked.max_output_tokens
        )


def wants_logprobs(asked: ResponsesRequest) -> bool:
    """Whether likelihoods were asked for, in either of two ways."""
    return bool(asked.top_logprobs) or _LOGPROBS in (asked.include or ())


def renamed(error: RbeeError, tools: Tools) -> RbeeError:
    """The error of a task, with the field's name in the protocol."""
    return with_names(error, lambda field: _name(field, tools))


def _name(field: str, tools: Tools) -> str:
    if found := _TOOL.fullmatch(field):
        return tools.field(int(found["index"])) + found["rest"]
    return "input" if field.startswith("messages") else _NAMES.get(field, field)


def _form(asked: TextFormat) -> dict[str, Any]:
    if asked.type != "json_schema":
        return {"type": asked.type}
    if asked.schema is None:
        raise InvalidRequest.of("text.format.schema", "given", "Expected it to be given")
    inside = {name: value for name, value in given(asked).items() if name not in ("type", "schema")}
    return {"type": asked.type, "json_schema": {**inside, "schema": asked.schema}}
