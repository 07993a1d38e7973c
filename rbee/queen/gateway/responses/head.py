"""What is known of a response before its first word: what it repeats of the request."""

from __future__ import annotations

from typing import Any

from rbee.contract.responses import (
    ReasoningUsed,
    Response,
    ResponsesRequest,
    ResponseToolChoice,
    TextUsed,
)
from rbee.contract.tasks import TaskRequest
from rbee.queen.gateway.fields import given
from rbee.queen.gateway.responses.tools import Tools


def begun(
    response_id: str, created: int, asked: ResponsesRequest, used: TaskRequest, tools: Tools
) -> Response:
    """The response when it begins. `used` is the task, by the name of whose model the client is
    answered if it gave none."""
    effort = None if asked.reasoning is None else asked.reasoning.effort
    return Response(
        id=response_id,
        created_at=created,
        status="in_progress",
        instructions=asked.instructions,
        max_output_tokens=asked.max_output_tokens,
        max_tool_calls=asked.max_tool_calls,
        model=asked.model or used.model or "",
        parallel_tool_calls=used.parallel_tool_calls,
        reasoning=ReasoningUsed(effort),
        temperature=used.temperature,
        top_p=used.top_p if asked.top_p != 0 else 0.0,
        top_logprobs=used.logprobs or 0,
        text=_text(asked),
        tool_choice=_choice(asked),
        tools=tools.reply(),
        user=asked.user,
        prompt_cache_key=asked.prompt_cache_key,
        safety_identifier=asked.safety_identifier,
        metadata=asked.metadata or {},
    )


def _text(asked: ResponsesRequest) -> TextUsed:
    wished = asked.text
    if wished is None:
        return TextUsed({"type": "text"})
    known = wished.format
    if known is None or known.type != "json_schema":
        kind = "text" if known is None else known.type
        return TextUsed({"type": kind}, wished.verbosity)
    form = {
        "type": known.type,
        "name": known.name or "",
        "description": known.description,
        "schema": known.schema,
        "strict": known.strict,
    }
    return TextUsed(form, wished.verbosity)


def _choice(asked: ResponsesRequest) -> str | dict[str, Any]:
    choice = asked.tool_choice
    if not isinstance(choice, ResponseToolChoice):
        return choice or "auto"
    fields = given(choice, without="tools")
    if choice.tools is not None:
        fields["tools"] = [given(tool) for tool in choice.tools]
    return fields
