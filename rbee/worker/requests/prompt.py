"""The tokens of a prompt: raw, or of a conversation as the model's chat template writes it.

What a conversation says stays text, wherever it says it: in a message, in a function's description,
or in a variable for the template. Only the template writes control tokens.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from rbee.contract.errors import InvalidRequest
from rbee.contract.tasks import InferenceRequest, Message, Tool, ToolCall
from rbee.runtime.concurrency import InThread
from rbee.worker.engine.load import Loaded
from rbee.worker.model.beginning import Beginning
from rbee.worker.requests.admission import check_prompt, check_tokens

if TYPE_CHECKING:
    from rbee.worker.model.llama import Model


class Conversation(msgspec.Struct, frozen=True):
    """What a template is given, as JSON values in the form of the Chat Completions API, and what
    the answer has `begun` with."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    kwargs: dict[str, Any]
    begun: str


async def prompt_tokens(
    loaded: Loaded, request: InferenceRequest, in_thread: InThread, most: int | None = None
) -> list[int]:
    """The tokens; if there are surely more than `most`, or than the context holds, as many as are
    known by then, which are more than that. In a raw prompt control tokens may be spelled out."""
    prompt, most = request.prompt, most or loaded.context.tokens
    if isinstance(prompt, list):
        check_prompt(len(prompt), most)  # eight million ids fit into a request's body
        check_tokens("prompt", prompt, loaded.model.vocabulary_size)
        return prompt
    if prompt is not None:
        tokenize = loaded.model.tokenizer.tokenize
        return await in_thread(lambda: tokenize(prompt, most))
    try:
        conversation = _conversation(request)
        for limit in (most, sys.maxsize):
            given = conversation, request.think, limit, most
            tokens = await _rendered(loaded, *given, in_thread)
            if tokens is not None:
                break
    except RecursionError:
        raise _too_deep() from None
    assert tokens is not None
    return tokens


async def written(loaded: Loaded, request: InferenceRequest) -> str:
    """The text of a conversation's prompt. Raises INVALID_REQUEST as the template does."""
    try:
        said = _conversation(request)
        return await loaded.chat.render(said.messages, said.tools, request.think, said.kwargs)
    except RecursionError:
        raise _too_deep() from None


async def _rendered(
    loaded: Loaded,
    conversation: Conversation,
    think: bool | None,
    most: int,
    room: int,
    in_thread: InThread,
) -> list[int] | None:
    """The prompt's tokens; None if the `room` is enough for them, but what is said has more than
    `most`: the template shows a part of it only, in which control tokens might be spelled out."""
    model = loaded.model
    given = [conversation.messages, conversation.tools, conversation.kwargs, conversation.begun]
    texts = list(_texts(given))
    hiding = await in_thread(lambda: model.tokenizer.hide_control(texts, most))
    said, hidden = hiding or (texts, {})
    shown = Conversation(*_with_texts(given, iter(said)))
    text = await loaded.chat.render(shown.messages, shown.tools, think, shown.kwargs) + shown.begun
    tokens = await in_thread(lambda: model.tokenizer.tokenize(text, room, hidden))
    if hiding is None and len(tokens) <= room:
        return None
    return without_second_bos(model, tokens)


def without_second_bos(model: Model, tokens: list[int]) -> list[int]:
    """Without the beginning-of-sequence token that a template writes, and blanks before it, if the
    tokenizer has put one in front."""
    bos = model.special_token("bos")
    if isinstance(tokens, Beginning) or not model.adds_bos() or tokens[:1] != [bos]:
        return tokens
    begun = 0
    for at, token in enumerate(tokens):
        if token == bos:
            begun = at
        elif not model.tokenizer.text([token]).isspace():
            break
    return tokens[begun:]


def _too_deep() -> InvalidRequest:
    error = "Its JSON is nested too deeply for the model's chat template"
    return InvalidRequest.of("messages", "fewer levels", error)


def _conversation(request: InferenceRequest) -> Conversation:
    messages = [_turn(message) for message in request.messages or ()]
    tools = [_tool(tool) for tool in request.tools]
    begun = messages.pop()["content"] if request.continue_final_message else ""
    return Conversation(messages, tools, request.chat_template_kwargs, begun)


def _turn(message: Message) -> dict[str, Any]:
    """A message with the fields that it has. Templates tell a missing field from one that is
    null."""
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    for name in ("name", "reasoning_content", "tool_call_id"):
        if (value := getattr(message, name)) is not None:
            turn[name] = value
    if message.tool_calls:
        turn["tool_calls"] = [_call(call) for call in message.tool_calls]
    return turn


def _call(call: ToolCall) -> dict[str, Any]:
    """Its arguments as an object if they are one: most templates write them as JSON."""
    arguments: Any = call.function.arguments
    with contextlib.suppress(msgspec.MsgspecError):
        arguments = msgspec.json.decode(arguments, type=dict[str, Any])
    function = {"name": call.function.name, "arguments": arguments}
    return {"type": call.type, **({"id": call.id} if call.id else {}), "function": function}


def _tool(tool: Tool) -> dict[str, Any]:
    """In the order in which models have learned it."""
    given = tool.function
    description = {} if given.description is None else {"description": given.description}
    function = {"name": given.name, **description, "parameters": given.parameters}
    return {"type": tool.type, "function": function}


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, names of fields included, in its order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _texts(each)


def _with_texts(value: Any, texts: Iterator[str]) -> Any:
    """The same value with other texts."""
    if isinstance(value, str):
        return next(texts)
    if isinstance(value, list):
        return [_with_texts(each, texts) for each in value]
    if isinstance(value, dict):
        return {next(texts): _with_texts(each, texts) for each in value.values()}
    return value
