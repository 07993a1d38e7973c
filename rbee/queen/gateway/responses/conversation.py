"""The items of a conversation as the messages of a task.

A turn of the assistant is several items here: its reasoning, what it says, and each of its calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rbee.contract.errors import InvalidRequest
from rbee.contract.responses import InputItem, ResponsePart
from rbee.queen.gateway.responses.tools import Tools

_TEXTS = ("input_text", "output_text", "text", "reasoning_text", "summary_text")
_KINDS = ("message", "function_call", "function_call_output", "reasoning")

Turn = dict[str, Any]


def messages(
    items: str | Sequence[InputItem] | None, instructions: str | None, tools: Tools
) -> list[Turn]:
    """The messages, with the instructions as what a system says first. Raises INVALID_REQUEST."""
    turns = [] if not instructions else [{"role": "system", "content": instructions}]
    if isinstance(items, str):
        return [*turns, {"role": "user", "content": items}]
    conversation = _Conversation(tools)
    for at, item in enumerate(items or ()):
        conversation.take(f"input[{at}]", item)
    turns += conversation.turns()
    if not items:
        raise InvalidRequest.of("input", "a text or items", "Expected a text, or items")
    return turns


class _Conversation:
    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._turns: list[Turn] = []
        self._reasoning: list[str] = []

    def take(self, field: str, item: InputItem) -> None:
        match item.type or ("message" if item.role else "item_reference"):
            case "message":
                self._say(field, item)
            case "function_call":
                self._call(field, item)
            case "function_call_output":
                turn = {"role": "tool", "tool_call_id": _given(f"{field}.call_id", item.call_id)}
                if item.output is None:
                    raise _missing(f"{field}.output")
                self._turns.append({**turn, "content": _text(f"{field}.output", item.output)})
            case "reasoning":
                self._reasoning.append(_reasoning(field, item))
            case "item_reference":
                message = "Nothing is stored here: send the item itself"
                raise InvalidRequest.of(f"{field}.type", "an item", message, "item_reference")
            case other:
                message = f"rbee can't read items of the type {other!r}"
                raise InvalidRequest.of(f"{field}.type", ", ".join(_KINDS), message, other)

    def turns(self) -> list[Turn]:
        if any(self._reasoning):  # it was cut there
            self._assistant()
        for turn in self._turns:
            if turn["role"] == "assistant":
                turn["content"] = "\n".join(filter(None, turn["content"]))
        return self._turns

    def _say(self, field: str, item: InputItem) -> None:
        role = _given(f"{field}.role", item.role)
        content = _text(f"{field}.content", item.content if item.content is not None else "")
        if role != "assistant":
            role = "system" if role == "developer" else role
            self._turns.append({"role": role, "content": content})
            return
        last = self._turns[-1] if self._turns and not self._reasoning else {}
        if last.get("role") != "assistant" or "tool_calls" in last:
            last = self._assistant()
        last["content"].append(content)

    def _call(self, field: str, item: InputItem) -> None:
        called = _given(f"{field}.name", item.name)
        name = self._tools.shown_name(called, item.namespace)
        call_id = _given(f"{field}.call_id", item.call_id)
        call = {"id": call_id, "function": {"name": name, "arguments": item.arguments or "{}"}}
        last = self._turns[-1] if self._turns else {}
        if last.get("role") != "assistant" or self._reasoning:
            last = self._assistant()
        last.setdefault("tool_calls", []).append(call)

    def _assistant(self) -> Turn:
        """A new turn, with the reasoning that came before it, and a list for what it says."""
        turn: Turn = {"role": "assistant", "content": []}
        if reasoning := "\n".join(filter(None, self._reasoning)):
            turn["reasoning_content"] = reasoning
        self._reasoning = []
        self._turns.append(turn)
        return turn


def _reasoning(field: str, item: InputItem) -> str:
    """What it says; its summary if that is all there is."""
    said = _text(f"{field}.content", item.content or "")
    return said or _text(f"{field}.summary", item.summary or "")


def _text(field: str, content: str | Sequence[ResponsePart]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(_part(f"{field}[{at}]", part) for at, part in enumerate(content))


def _part(field: str, part: ResponsePart) -> str:
    if part.type in _TEXTS:
        return _given(f"{field}.text", part.text)
    if part.type == "refusal":
        return _given(f"{field}.refusal", part.refusal)
    message = f"rbee can't run models that read parts of the type {part.type!r} yet"
    raise InvalidRequest.of(f"{field}.type", "input_text", message, part.type)


def _given(field: str, value: str | None) -> str:
    if value is None:
        raise _missing(field)
    return value


def _missing(field: str) -> InvalidRequest:
    return InvalidRequest.of(field, "given", "Expected it to be given")
