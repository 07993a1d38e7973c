"""A request with tools: how the model is told of them, and what its answer may be."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from rbee.contract.errors import InvalidRequest
from rbee.contract.tasks import Function, InferenceRequest, Message, NamedTool, Tool
from rbee.runtime.concurrency import InThread
from rbee.worker.engine.load import Loaded
from rbee.worker.model import grammar
from rbee.worker.model.tool_formats import described
from rbee.worker.model.tool_formats.harmony import BEFORE_ANSWER
from rbee.worker.model.tool_formats.parser import Form, form_of

if TYPE_CHECKING:  # most answers have none
    from rbee.worker.model.constraint import Constraint

# The prompt's last tokens, which tell whether the answer begins in reasoning.
_TAIL = 16
# Of all schemas of a request that answers are held to. Each of them is limited too.
_MOST_BYTES = 1_000_000
_MOST_S = 10.0
_ANY_ARGUMENTS = {"type": "object"}


async def as_told(loaded: Loaded, asked: InferenceRequest) -> InferenceRequest:
    """The request as the model's chat template takes it: what the template has no form for is told
    as text. Raises INVALID_REQUEST as the template does."""
    messages = asked.messages
    if messages is None:
        return asked
    tools = _offered(asked)
    called = any(said.tool_calls or said.role == "tool" for said in messages)
    if tools or called:
        facts = await loaded.chat.facts(bool(tools))
        if called and not (facts.tool_calls and facts.tool_answers):
            messages = described.with_calls_told(messages)
        if tools and not facts.tools:
            messages, tools = _described(messages, tools), []
    return replace(asked, messages=messages, tools=tools, tool_choice="auto")


def form(
    loaded: Loaded, asked: InferenceRequest, told: InferenceRequest, prompt: Sequence[int]
) -> Form | None:
    """What to look for in the answer to `prompt`, with which the model was `told`. A raw prompt's
    answer is nothing but text."""
    if asked.messages is None:
        return None
    tokenizer = loaded.model.tokenizer
    return form_of(
        loaded.chat.source(bool(told.tools)),
        tokenizer.text(prompt[-_TAIL:]),
        lambda mark: tokenizer.token(mark) is not None,
        _offered(asked),
        bool(told.tools),
        1 if isinstance(asked.tool_choice, NamedTool) or not asked.parallel_tool_calls else None,
    )


async def constraint(
    loaded: Loaded,
    asked: InferenceRequest,
    form: Form,
    answer: Mapping[str, Any] | None,
    answer_field: str,
    in_thread: InThread,
) -> Constraint | None:
    """What holds the answer to calls, if a call must come or a function is strict, and to the
    schema `answer` of `answer_field`, in whose place calls may come.

    A schema that can't be had is refused if its function is strict; otherwise its arguments may be
    any object. Raises INVALID_REQUEST. Canceled, it stops the work on it."""
    choice, tools = asked.tool_choice, _offered(asked)
    forced = choice == "required" or isinstance(choice, NamedTool)
    if not forced and answer is None and not any(tool.function.strict for tool in tools):
        return None
    from rbee.worker.model.call_grammar import Wanted, grammar_of
    from rbee.worker.model.constraint import refused

    named = choice.function.name if isinstance(choice, NamedTool) else None
    functions = {
        index: tool.function if forced or tool.function.strict else _loose(tool.function)
        for index, tool in enumerate(tools)
        if named in (None, tool.function.name)
    }
    held = {index: each for index, each in functions.items() if forced or each.strict}
    await in_thread(lambda: _check_size(held.values()))

    async def compiled() -> Constraint:
        wanted = Wanted(
            list(functions.values()),
            form.shape,
            many=form.most is None,
            forced=forced,
            answer=answer,
            before_answer=BEFORE_ANSWER if form.harmony else "",
            reasoning=form.marks,
            inside=form.inside,
            marks=() if form.family is None else form.family.marks,
            bare="" if form.family is None else form.family.bare,
        )
        field = "tools" if functions else answer_field
        try:
            control = loaded.model.tokenizer.control_token
            source = await in_thread(lambda: grammar_of(wanted, control))
        except ValueError as error:
            raise refused(field, str(error)) from None
        return await loaded.model.grammars.compile(source, field, in_thread)

    try:
        return await compiled()
    except InvalidRequest:
        # Each by itself tells which it is.
        wrong = await _unusable(loaded, held, in_thread)
        if not wrong and len(held) > 1 and answer is None:
            raise refused("tools", f"{len(held)} functions are too much together") from None
        if not wrong:
            raise
    functions |= {index: _loose(functions[index]) for index in wrong}
    return await compiled()


def _check_size(functions: Iterable[Function]) -> None:
    """Raises INVALID_REQUEST for schemas that are too large together."""
    from rbee.worker.model.constraint import refused

    if sum(len(msgspec.json.encode(each.parameters)) for each in functions) > _MOST_BYTES:
        raise refused("tools", f"their schemas take more than {_MOST_BYTES} bytes together")


async def _unusable(
    loaded: Loaded, functions: Mapping[int, Function], in_thread: InThread
) -> list[int]:
    """The functions whose schemas can't be had. Raises INVALID_REQUEST for one that is strict, or
    if they take too long."""
    from rbee.worker.model.constraint import refused

    wrong = []
    began = time.monotonic()
    for index, function in functions.items():
        if time.monotonic() - began > _MOST_S:
            raise refused("tools", f"their schemas take more than {_MOST_S:g} s to prepare")
        field = f"tools[{index}].function.parameters"
        try:
            try:
                rule = await in_thread(partial(_rule, function))
            except ValueError as error:
                raise refused(field, str(error)) from None
            await loaded.model.grammars.check(rule, field, in_thread)
        except InvalidRequest:
            if function.strict:
                raise
            wrong.append(index)
    return wrong


def _rule(function: Function) -> str:
    from rbee.worker.model.call_grammar import arguments_schema

    return grammar.of_schema(arguments_schema(function))


def _described(messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    try:
        return described.with_tools_told(messages, tools)
    except RecursionError:
        error = "A schema is nested too deeply to be told to the model"
        raise InvalidRequest.of("tools", "fewer levels", error) from None


def _offered(asked: InferenceRequest) -> list[Tool]:
    return [] if asked.tool_choice == "none" else asked.tools


def _loose(function: Function) -> Function:
    return replace(function, parameters=_ANY_ARGUMENTS)
