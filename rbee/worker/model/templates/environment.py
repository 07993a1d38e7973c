"""Jinja as transformers sets it up for chat templates, and what a template can do.

The environment is that of `transformers.utils.chat_template_utils`. Templates differ in what they
take: `Template` finds out by rendering small conversations, as llama.cpp does, and gives each the
form that it shows. Only the process that renders imports this module.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

# As in the Chat Completions API: role, content, tool_calls, …
Message: TypeAlias = dict[str, Any]

_ID_LENGTH = 9


class CallForm(NamedTuple):
    """The form in which a template shows an earlier call of a function."""

    as_object: bool = True
    """The arguments are an object, not JSON text."""
    null_content: bool = True
    """The content of the turn is null, not an empty text."""
    any_id: bool = True
    """The call's id may have any length; Mistral's templates want nine characters."""


class Generation(Extension):
    """`{% generation %}` marks what the assistant says, for training. Here it only has a scope."""

    tags = {"generation"}  # noqa: RUF012  # Jinja's own declaration

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_said")
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _said(self, caller: Callable[[], str]) -> str:
        return caller()


class Template:
    """A chat template. `tokens` are the special tokens' texts, by the names of transformers.

    Raises jinja2's TemplateSyntaxError if it is not Jinja, and whatever else its constants do.
    """

    def __init__(self, source: str, tokens: Mapping[str, str]) -> None:
        self._compiled = _environment().from_string(source)
        self._tokens = dict(tokens)
        self._knows_developers = "developer" in source

    def render(
        self, messages: Sequence[Message], tools: Sequence[Any], variables: Mapping[str, Any]
    ) -> str:
        """The prompt, up to where the answer begins. The template may raise anything.

        What a system says goes into the next user's turn if the template has no such role, and so
        does what a developer says if it knows only systems.
        """
        turns = [dict(message) for message in messages]
        if not self._knows_developers:
            turns = [_as_system(turn) for turn in turns]
        if any(turn["role"] == "system" for turn in turns) and not self.has_system:
            turns = _without_system(turns)
        if any(turn.get("tool_calls") or "tool_call_id" in turn for turn in turns):
            form = self.call_form or CallForm(null_content=False)
            turns = [_in_form(turn, form) for turn in turns]
        if self.wants_parts:
            turns = [_in_parts(turn) for turn in turns]
        return self._written(turns, tools, variables)

    @cached_property
    def wants_parts(self) -> bool:
        """Whether content is a list of parts, each with a type, and a text is not shown."""
        user = {"role": "user", "content": "needle"}
        return not self._shows(["needle"], [user]) and self._shows(["needle"], [_in_parts(user)])

    @cached_property
    def has_system(self) -> bool:
        """Whether it shows what a system says."""
        return self._shows(["needle"], self._turns(("system", "needle"), ("user", "Hi")))

    @cached_property
    def shows_tools(self) -> bool:
        """Whether it tells the model of the functions that it may call."""
        turns = self._turns(("system", "Hi"), ("user", "Hi"))
        return any(self._shows(["find_needle"], some, [_TOOL]) for some in (turns[1:], turns))

    @cached_property
    def call_form(self) -> CallForm | None:
        """How it shows an earlier call; None if it doesn't."""
        for form in map(CallForm._make, itertools.product((True, False), repeat=3)):
            turns = [*self._turns(("user", "Hi")), _in_form(_CALL, form)]
            shown = self._shown(turns, [_TOOL])
            # Neither as Python writes an object, nor as JSON text within JSON.
            if all(text in shown for text in _CALLED) and not any(
                wrong in shown for wrong in _MISWRITTEN
            ):
                return form
        return None

    @cached_property
    def shows_answers(self) -> bool:
        """Whether it has a turn for what a called function has answered."""
        form = self.call_form
        if form is None:
            return False
        answer = {"role": "tool", "content": "needle", "tool_call_id": _CALL["tool_calls"][0]["id"]}
        turns = [*self._turns(("user", "Hi")), _in_form(_CALL, form), _in_form(answer, form)]
        return self._shows(["needle"], turns, [_TOOL])

    def facts(self) -> dict[str, bool]:
        """As `TemplateFacts` has them."""
        return {
            "system": self.has_system,
            "tools": self.shows_tools,
            "tool_calls": self.call_form is not None,
            "tool_answers": self.shows_answers,
        }

    def _turns(self, *said: tuple[str, str]) -> list[Message]:
        turns: list[Message] = [{"role": role, "content": content} for role, content in said]
        return [_in_parts(turn) for turn in turns] if self.wants_parts else turns

    def _shows(
        self, wanted: Sequence[str], turns: Sequence[Message], tools: Sequence[Any] = ()
    ) -> bool:
        shown = self._shown(turns, tools)
        return all(text in shown for text in wanted)

    def _shown(self, turns: Sequence[Message], tools: Sequence[Any] = ()) -> str:
        """What it makes of a small conversation; nothing if it refuses that."""
        try:
            return self._written(turns, tools, {})
        except Exception:
            return ""

    def _written(
        self, turns: Sequence[Message], tools: Sequence[Any], variables: Mapping[str, Any]
    ) -> str:
        return self._compiled.render(
            {
                "documents": None,
                **self._tokens,
                **variables,
                "messages": list(turns),
                "tools": list(tools) or None,
                "add_generation_prompt": True,
            }
        )


_TOOL = {
    "type": "function",
    "function": {
        "name": "find_needle",
        "description": "Find it.",
        "parameters": {"type": "object", "properties": {"in_haystack": {"type": "string"}}},
    },
}
_CALL: Message = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {
            "type": "function",
            "id": "call_of_the_needle",
            "function": {"name": "find_needle", "arguments": {"look_under": "straw"}},
        }
    ],
}
_CALLED = ("find_needle", "look_under", "straw")
_MISWRITTEN = ("'look_under'", '\\"look_under')


def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    made.filters["tojson"] = _to_json
    made.globals["raise_exception"] = _refuse
    made.globals["strftime_now"] = _now
    return made


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own filter would escape HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.datetime.now().strftime(form)


def _as_system(turn: Message) -> Message:
    return {**turn, "role": "system"} if turn["role"] == "developer" else turn


def _without_system(turns: Sequence[Message]) -> list[Message]:
    """With what a system says at the beginning of the user's next turn."""
    found: list[Message] = []
    said: list[str] = []
    for turn in turns:
        if turn["role"] == "system":
            said.append(turn["content"])
        elif turn["role"] == "user" and said:
            found.append({**turn, "content": "\n".join([*said, turn["content"]])})
            said = []
        else:
            found.append(turn)
    return [*found, {"role": "user", "content": "\n".join(said)}] if said else found


def _in_parts(turn: Message) -> Message:
    content = turn.get("content")
    if not isinstance(content, str):
        return turn
    return {**turn, "content": [{"type": "text", "text": content}]}


def _in_form(turn: Message, form: CallForm) -> Message:
    """A turn with calls of functions, or one that answers a call."""
    turn = dict(turn)
    if turn.get("tool_calls"):
        turn["tool_calls"] = [_call_in_form(call, form) for call in turn["tool_calls"]]
        if turn.get("content") is None:
            turn["content"] = None if form.null_content else ""
    if "tool_call_id" in turn and not form.any_id:
        turn["tool_call_id"] = _short(turn["tool_call_id"])
    return turn


def _call_in_form(call: Message, form: CallForm) -> Message:
    call, function = dict(call), dict(call["function"])
    if not form.as_object and not isinstance(function["arguments"], str):
        function["arguments"] = json.dumps(function["arguments"], ensure_ascii=False)
    if not form.any_id:
        call["id"] = _short(call.get("id", ""))
    return {**call, "function": function}


def _short(name: str) -> str:
    """The same nine characters for the same id."""
    if len(name) == _ID_LENGTH and name.isalnum():
        return name
    return hashlib.sha256(name.encode(errors="replace")).hexdigest()[:_ID_LENGTH]
