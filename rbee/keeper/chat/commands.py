"""What a person types in a chat that is not a question: `/set temperature 0`, and the like. The
words are those of ollama, where it has them."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from rbee.contract import endpoints as ep
from rbee.contract.errors import InvalidRequest, RbeeError
from rbee.contract.models import NodeModel
from rbee.keeper.chat.saved_chats import SavedChats
from rbee.keeper.chat.state import PARAMETERS, ChatState, parameter
from rbee.keeper.session.queen import Queen
from rbee.runtime.listings import described
from rbee.runtime.screen import Screen

ENDS = ("/exit", "/quit", "/bye")
RETRY = "/retry"
_SHOWN = 60
_HELP = '''\
/clear         forget the conversation
/retry         ask the last question again
/system TEXT   give the model this text before everything else
/model MODEL   ask another model from now on
/set           change how answers are made; alone, it lists what can be set
/show          show model, system text and parameters; /show info describes the model
/save NAME     keep the conversation under a name
/load NAME     go on with a conversation that was kept
/exit          end the chat, like Ctrl+D or /bye
/help          show this help, like /?
Ctrl+C         stop an answer, or clear the line
"""            begin and end a text of several lines; Alt+Enter starts a new line anywhere'''
_SETTINGS = f"""\
/set NAME VALUE      one of {", ".join(PARAMETERS[:7])},
                     {", ".join(PARAMETERS[7:])}
/set NAME default    as if it had never been set
/set system TEXT     the same as /system TEXT
/set think           let the model reason first; /set nothink keeps it from that
/set format json     answer with a JSON object; /set noformat with any text
/set verbose         show the figures of each answer; /set quiet does not"""

# An error in the words of the chat, for the fields that were set.
Explain: TypeAlias = Callable[[InvalidRequest, Mapping[str, object]], InvalidRequest]
_Handler: TypeAlias = Callable[[str], Awaitable[None]]


def is_command(typed: str) -> bool:
    """Whether it begins with a slash and a word. A path is part of a question."""
    return typed.startswith("/") and "/" not in typed.split()[0][1:]


class Commands:
    """Carries out the commands of a chat, all but those that ask or end."""

    def __init__(
        self, state: ChatState, queen: Queen, screen: Screen, saved: SavedChats, explain: Explain
    ) -> None:
        self._state = state
        self._queen = queen
        self._screen = screen
        self._saved = saved
        self._explain = explain
        self._handlers: dict[str, _Handler] = {
            "/help": self._help,
            "/?": self._help,
            "/clear": self._clear,
            "/system": self._system,
            "/model": self._model,
            "/set": self._set,
            "/show": self._show,
            "/save": self._save,
            "/load": self._load,
        }

    async def run(self, typed: str) -> None:
        """Do what it says, or say that it is not known."""
        name, *rest = typed.split(maxsplit=1)
        handler = self._handlers.get(name)
        try:
            if handler is None:
                raise _UnknownError
            await handler(rest[0].strip() if rest else "")
        except _UnknownError:
            short = typed if len(typed) <= _SHOWN else f"{typed[: _SHOWN - 1]}…"
            self._screen.note(f"Unknown command {short}. See /help.")
        except InvalidRequest as error:
            self._screen.note(error.message)
        except ValueError as error:
            self._screen.note(str(error))
        except RbeeError as error:
            self._screen.error(error)

    async def _help(self, words: str) -> None:
        _expect(not words)
        self._screen.note(*_HELP.split("\n"))

    async def _clear(self, words: str) -> None:
        _expect(not words)
        self._state.conversation.forget()
        self._screen.note("The conversation is forgotten.")

    async def _system(self, words: str) -> None:
        conversation = self._state.conversation
        if words:
            conversation.system = _unquoted(words)
            self._screen.note("The system text is set.")
        else:
            text = conversation.system or "No system text is set. To set one: /system TEXT"
            self._screen.note(*text.split("\n"))

    async def _model(self, words: str) -> None:
        if words:
            self._change(model=words)
            self._screen.narrates = not self._screen.quiet
            self._screen.note(f"The next question goes to {words}.")
        else:
            self._screen.note(f"model: {self._state.request.model or 'the default'}")

    async def _set(self, words: str) -> None:
        name, *rest = words.split(maxsplit=1) or [""]
        value = rest[0] if rest else ""
        switches: dict[str, Callable[[], None]] = {
            "": lambda: self._screen.note(*_SETTINGS.split("\n")),
            "think": lambda: self._change(think=True),
            "nothink": lambda: self._change(think=False),
            "noformat": lambda: self._change(response_format=None),
            "format json": lambda: self._change(response_format={"type": "json_object"}),
            "verbose": lambda: self._show_figures(True),
            "quiet": lambda: self._show_figures(False),
        }
        if switch := switches.get(" ".join(words.split())):
            switch()
        elif name == "system" and value:
            await self._system(value)
        else:
            self._set_parameter(value if name == "parameter" else words)

    def _set_parameter(self, words: str) -> None:
        try:
            name, *values = shlex.split(words) or [""]
        except ValueError:
            raise ValueError(f"The quotes do not match: {words}") from None
        try:
            field, value = parameter(name, values)
        except ValueError:
            raise ValueError(f"{name or 'This'} can't be set. To see what can be: /set") from None
        if not values:
            value = self._state.parameters()[field]
        else:
            self._change(**{field: None if values == ["default"] else value})
            value = self._state.parameters()[field]
        self._screen.note(_line(field, value))

    def _show_figures(self, wanted: bool) -> None:
        self._state.shows_figures = wanted
        self._screen.note(f"Figures are {'shown' if wanted else 'not shown'} after each answer.")

    def _change(self, **fields: object) -> None:
        try:
            self._state.change(**fields)
        except InvalidRequest as error:
            raise self._explain(error, fields) from None

    async def _show(self, words: str) -> None:
        state = self._state
        model, system = state.request.model or "the default", state.conversation.system
        if words == "info":
            await self._describe_model()
        elif words == "system":
            await self._system("")
        elif words == "parameters":
            self._screen.note(*(_line(*pair) for pair in state.parameters().items()))
        else:
            _expect(words in ("", "model"))
            self._screen.note(f"model: {model}", f"node: {state.node or 'the queen chooses'}")
            if not words:
                self._screen.note(f"system: {system or 'none'}")
                self._screen.note(f"questions so far: {state.conversation.turns}")
                self._screen.note(*(_line(*pair) for pair in state.parameters().items()))

    async def _describe_model(self) -> None:
        if self._state.request.model is None:
            raise ValueError("The default model is asked. To describe another one: /model MODEL")
        wanted = NodeModel(self._state.request.model, self._state.node)
        found = await self._queen.client.call(ep.QUEEN_MODEL_INFO, wanted)
        self._screen.note(*described(found, "rbee-keeper models verify").split("\n"))

    async def _save(self, words: str) -> None:
        if not words:
            raise ValueError("To keep the conversation: /save NAME")
        if not self._state.conversation.turns:
            raise ValueError("Nothing has been answered yet.")
        path = self._saved.save(words, self._state.saved())
        self._screen.note(f"The conversation is kept in {path}.")

    async def _load(self, words: str) -> None:
        if not words:
            names = ", ".join(self._saved.names()) or "none"
            raise ValueError(f"To go on with a conversation: /load NAME. Saved chats: {names}.")
        try:
            self._state.load(self._saved.load(words))
        except ValueError as error:
            raise ValueError(f"{error} To ask another model: /model MODEL") from None
        self._screen.narrates = not self._screen.quiet
        turns = self._state.conversation.turns
        questions = "1 question" if turns == 1 else f"{turns} questions"
        self._screen.note(f"The conversation goes on after {questions}.")


class _UnknownError(Exception):
    """There is no such command, or it takes no such words."""


def _expect(holds: bool) -> None:
    if not holds:
        raise _UnknownError


def _unquoted(text: str) -> str:
    """A text without the quotes around it, which ollama asks for."""
    for quote in ('"""', '"'):
        if len(text) >= 2 * len(quote) and text.startswith(quote) and text.endswith(quote):
            return text[len(quote) : -len(quote)].strip()
    return text


def _line(name: str, value: object) -> str:
    shown = "default" if value is None or value == [] else value
    if isinstance(value, list) and value:
        shown = " ".join(map(repr, value))
    return f"{name}: {str(shown).lower() if isinstance(shown, bool) else shown}"
