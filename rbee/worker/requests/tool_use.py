"""A request with tools: how the model is told of them, and what its answer may be."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from rbee.contract.errors import InvalidRequest
from rbee.contract.tasks import Function, InferenceRequest, Message, NamedTool, Tool
from rbee.worker.engine.load import Loaded
from rbee.worker.model import grammar
from rbee.worker.model.call_grammar import Wanted, arguments_schema, grammar_of
from rbee.worker.model.constraint import Constraint, refused
from rbee.worker.model.tool_formats import described
from rbee.worker.model.tool_formats.harmony import BEFORE_ANSWER
from rbee.worker.model.tool_formats.parser import Form, form_of

# The prompt's last tokens, which tell whether the answer begins in reasoning.
_TAIL = 16
# How long one request may keep a thread with the schemas of its tools, in seconds. Each of them is
# limited too.
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


def constraint(
    loaded: Loaded,
    asked: InferenceRequest,
    form: Form,
    answer: Mapping[str, Any] | None,
    answer_field: str,
) -> Constraint | None:
    """What holds the answer to calls, if a call must come or a function is strict, and to the
    schema `answer` of `answer_field`, in whose place calls may come. Not for the event loop.

    A schema that can't be had is refused if its function is strict; otherwise its arguments may be
    any object. Raises INVALID_REQUEST, and ValueError if `answer` is too large."""
    choice, tools = asked.tool_choice, _offered(asked)
    forced = choice == "required" or isinstance(choice, NamedTool)
    if not forced and answer is None and not any(tool.function.strict for tool in tools):
        return None
    functions = []
    began = time.monotonic()
    for index, tool in enumerate(tools):
        function = tool.function
        if time.monotonic() - began > _MOST_S:
            raise refused("tools", f"their schemas take more than {_MOST_S:g} s to prepare")
        if isinstance(choice, NamedTool) and function.name != choice.function.name:
            continue
        held = forced or function.strict
        functions.append(_held(loaded, function, index) if held else _loose(function))
    wanted = Wanted(
        functions,
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
    source = grammar_of(wanted, loaded.model.tokenizer.control_token)
    return loaded.model.grammars.compile(source, "tools" if functions else answer_field)


def _described(messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    try:
        return described.with_tools_told(messages, tools)
    except RecursionError:
        error = "A schema is nested too deeply to be told to the model"
        raise InvalidRequest.of("tools", "fewer levels", error) from None


def _offered(asked: InferenceRequest) -> list[Tool]:
    return [] if asked.tool_choice == "none" else asked.tools


def _held(loaded: Loaded, function: Function, index: int) -> Function:
    field = f"tools[{index}].function.parameters"
    try:
        try:
            rule = grammar.of_schema(arguments_schema(function))
        except ValueError as error:
            raise refused(field, str(error)) from None
        loaded.model.grammars.compile(rule, field)
    except InvalidRequest:
        if function.strict:
            raise
        return _loose(function)
    return function


def _loose(function: Function) -> Function:
    return replace(function, parameters=_ANY_ARGUMENTS)
