"""The turns of a conversation as a task's messages: what Anthropic has as blocks of a turn, a task
has as text, reasoning, calls, and answers to calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from rbee.contract.anthropic import InputBlock, InputMessage
from rbee.contract.errors import InvalidRequest
from rbee.contract.validation import convert
from rbee.queen.gateway.anthropic import signature

Message = dict[str, Any]

# Claude Code's first line, which differs from one conversation to the next: with it no prompt would
# begin as another one.
_BILLING = "x-anthropic-billing-header:"
# What servers of Anthropic's have left in a conversation begins or ends so.
_OF_SERVERS = ("server_tool_", "mcp_tool_", "redacted_thinking")
_BY_SERVERS = "_tool_result"
_REMINDER = "<system-reminder>\n{}\n</system-reminder>"


def messages(system: str | list[InputBlock] | None, turns: Sequence[InputMessage]) -> list[Message]:
    """The messages of a task. Raises INVALID_REQUEST for what can't be read, by its name."""
    told, said = [system_text(system)], list[Message]()
    for at, turn in enumerate(turns):
        field = f"messages[{at}].content"
        if turn.role == "system" and not said:
            told.append(_texts(field, turn))
        else:
            said += _messages(field, turn)
    found = [*_joined(said)]
    if not found or (found[-1]["role"] == "assistant" and found[-1].get("tool_calls")):
        expected = "a turn of the user at the end"
        raise InvalidRequest.of("messages", expected, f"Expected {expected}, or a text begun")
    system_told = "\n\n".join(filter(None, told))
    return [{"role": "system", "content": system_told}, *found] if system_told else found


def system_text(system: str | list[InputBlock] | None) -> str:
    """What the system says, without Claude Code's line about billing. Raises INVALID_REQUEST."""
    blocks = [InputBlock("text", system)] if isinstance(system, str) else system or []
    texts = (_text(f"system[{at}]", block) for at, block in enumerate(blocks))
    return "\n\n".join(text for each in texts if (text := _without_billing(each)))


def names_of_references(turns: Sequence[InputMessage]) -> set[str]:
    """The tools that a search for tools has found in the conversation."""
    found: set[str] = set()
    for turn in turns:
        for block in turn.content if not isinstance(turn.content, str) else ():
            if block.type == "tool_result" and isinstance(block.content, list):
                parts = (part for part in block.content if isinstance(part, dict))
                found |= {str(part.get("tool_name")) for part in parts}
    return found - {"None"}


def _without_billing(text: str) -> str:
    if not text.startswith(_BILLING):
        return text
    return text.partition("\n")[2].lstrip("\n")


def _joined(said: Sequence[Message]) -> Iterator[Message]:
    """Turns of one role that follow each other are one, as the protocol has it."""
    for role, turns in groupby(said, key=itemgetter("role")):
        if role == "tool":
            yield from turns
            continue
        same = [*turns]
        whole = same[0]
        for name in ("content", "reasoning_content"):
            if texts := [turn[name] for turn in same if turn.get(name)]:
                whole[name] = "\n\n".join(texts)
        if calls := [call for turn in same for call in turn.get("tool_calls", ())]:
            whole["tool_calls"] = calls
        yield whole


def _messages(field: str, turn: InputMessage) -> Iterator[Message]:
    """The messages of a turn: answers to calls come before what the user says besides."""
    if turn.role == "system":
        yield {"role": "user", "content": _REMINDER.format(_texts(field, turn))}
    elif isinstance(turn.content, str):
        yield {"role": turn.role, "content": turn.content}
    elif turn.role == "assistant":
        yield _answer(field, turn.content)
    else:
        said = []
        for at, block in enumerate(turn.content):
            if block.type == "tool_result":
                yield _result(f"{field}[{at}]", block)
            elif not _is_of_servers(block):
                said.append(_text(f"{field}[{at}]", block))
        if said or not turn.content:
            yield {"role": "user", "content": "\n".join(said)}


def _answer(field: str, blocks: Sequence[InputBlock]) -> Message:
    texts, thoughts, calls = [], [], []
    for at, block in enumerate(blocks):
        if block.type == "thinking":
            thoughts.append(block.thinking or signature.thinking_in(block.signature))
        elif block.type == "tool_use":
            calls.append(_call(f"{field}[{at}]", block))
        elif not _is_of_servers(block):
            texts.append(_text(f"{field}[{at}]", block))
    message: Message = {"role": "assistant", "content": "\n".join(texts)}
    if thought := "\n".join(filter(None, thoughts)):
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = calls
    return message


def _call(field: str, block: InputBlock) -> dict[str, Any]:
    name = _needed(field, "name", block.name)
    arguments = msgspec.json.encode(block.input or {}).decode()
    call_id = _needed(field, "id", block.id)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _result(field: str, block: InputBlock) -> Message:
    text = _content(f"{field}.content", block.content)
    if block.is_error:
        text = f"Error: {text}" if text else "Error"
    call_id = _needed(field, "tool_use_id", block.tool_use_id)
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def _is_of_servers(block: InputBlock) -> bool:
    return block.type.startswith(_OF_SERVERS) or block.type.endswith(_BY_SERVERS)


def _texts(field: str, turn: InputMessage) -> str:
    if isinstance(turn.content, str):
        return turn.content
    return "\n".join(_text(f"{field}[{at}]", block) for at, block in enumerate(turn.content))


def _content(field: str, content: Any, inside: bool = False) -> str:
    """The text of what may be a text or blocks. `inside` a block there may be only text."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise InvalidRequest.of(field, "a text or blocks", "Expected a text or blocks", content)
    parts = ((f"{field}[{at}]", part) for at, part in enumerate(content))
    return "\n".join(_text(place, _block(place, part), inside) for place, part in parts)


def _block(field: str, part: Any) -> InputBlock:
    try:
        return convert(part, InputBlock)
    except InvalidRequest as error:
        [wrong] = error.details["errors"]
        place = field if wrong["field"] == "body" else f"{field}.{wrong['field']}"
        rest = wrong["constraint"], wrong["message"], wrong["value"]
        raise InvalidRequest.of(place, *rest) from None


def _text(field: str, block: InputBlock, inside: bool = False) -> str:
    """The text of a block. Raises INVALID_REQUEST for one that has none."""
    match block.type, block.source:
        case "text", _:
            return _needed(field, "text", block.text)
        case _ if inside:
            pass
        case "tool_reference", _:
            return f"The tool {_needed(field, 'tool_name', block.tool_name)} can be called now."
        case "search_result", source:
            parts = (block.title, source, _content(f"{field}.content", block.content, True))
            return "\n".join(str(part) for part in parts if part)
        case "compaction", _:
            return _content(f"{field}.content", block.content, True)
        case "document", {"type": "text", "data": str(text)}:
            return "\n".join(filter(None, (block.title, block.context, text)))
        case "document", {"type": "content", "content": inner}:
            text = _content(f"{field}.source.content", inner, True)
            return "\n".join(filter(None, (block.title, block.context, text)))
        case "document", {"type": str(kind)}:
            message = f"rbee can't read documents of the type {kind!r}, only text"
            raise InvalidRequest.of(f"{field}.source.type", "text", message, kind)
    message = f"rbee can't run models that read parts of the type {block.type!r} yet"
    raise InvalidRequest.of(f"{field}.type", "text", message, block.type)


def _needed(field: str, name: str, value: str | None) -> str:
    if value is None:
        raise InvalidRequest.of(f"{field}.{name}", "a text", "Expected a text")
    return value
