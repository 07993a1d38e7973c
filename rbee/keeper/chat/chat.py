"""A chat: one question after the other, each asked with all that was said before."""

from __future__ import annotations

from typing import Protocol

import msgspec

from rbee.contract.errors import PromptTooLong, RbeeError
from rbee.contract.tasks import TaskRequest
from rbee.keeper.chat.conversation import Conversation, content
from rbee.keeper.chat.task import Asking
from rbee.keeper.session.queen import Queen
from rbee.runtime.cancellation import Breakable
from rbee.runtime.command import Interrupts
from rbee.runtime.screen import Screen

_WELCOME = "Ask away. /help tells what else there is, Ctrl+D ends."
_HOW_TO_END = "To end: Ctrl+D or /exit"
_HELP = '''\
/clear   forget what was said
/retry   ask the last question again
/exit    end, as Ctrl+D does
/help    this
Ctrl+C   breaks off an answer, or clears the line
"""      begins and ends a text of several lines; Alt+Enter is a new line anywhere'''


class Lines(Protocol):
    """Where questions come from."""

    async def read(self) -> str: ...

    def remember(self, line: str) -> None: ...


class Chat:
    """Goes on until the person ends it. An error is told, and the next question is asked for."""

    def __init__(
        self,
        queen: Queen,
        request: TaskRequest,
        screen: Screen,
        interrupts: Interrupts,
        lines: Lines,
    ) -> None:
        """`request` is asked with each question; its messages are what is said before the first."""
        self._queen = queen
        self._request = request
        self._screen = screen
        self._interrupts = interrupts
        self._lines = lines
        self._said = Conversation(request.messages or [])
        self._node = request.node

    async def run(self, first: str | None) -> None:
        """`first` is a question that was asked already."""
        if not self._screen.quiet:
            self._screen.note(_WELCOME)
        if first is not None:
            self._lines.remember(first)
            self._screen.say(f"> {first}")
            await self._turn(first)
        while (typed := await self._read()) not in ("/exit", "/quit", "/bye", None):
            if typed == "/help":
                self._screen.note(_HELP)
            elif typed == "/clear":
                self._said.forget()
                self._screen.note("What was said is forgotten.")
            elif typed == "/retry":
                await self._again()
            elif _is_command(typed or ""):
                self._screen.note(f"There is no {typed} here: see /help")
            elif typed:
                await self._turn(typed)

    async def _read(self) -> str | None:
        """What was typed; None where the person ends."""
        try:
            return content(await self._lines.read())
        except EOFError:
            return None
        except KeyboardInterrupt:
            self._screen.note(_HOW_TO_END)
            return ""
        finally:
            self._interrupts.listen()

    async def _again(self) -> None:
        question = self._said.again()
        if question is None:
            self._screen.note("Nothing was asked yet.")
        else:
            await self._turn(question)

    async def _turn(self, question: str) -> None:
        """One question and what comes of it. Raises CancelledError where the chat is to end."""
        self._said.ask(question)
        while not await self._ask():
            continue
        self._screen.close()
        self._screen.say("")

    async def _ask(self) -> bool:
        """Whether the question is done with: answered, canceled or failed. Otherwise it is to be
        asked again, with less before it."""
        messages = self._said.messages
        request = msgspec.structs.replace(self._request, messages=messages, node=self._node)
        asking = Asking(self._queen, request, self._screen)
        try:
            whole = await self._unless_interrupted(asking)
        except PromptTooLong as error:
            if dropped := self._said.shorten(error, request.max_tokens):
                turns = "turn was" if dropped == 1 else f"{dropped} turns were"
                self._screen.note(f"→ The context is full: the oldest {turns} left out.")
                return False
            self._fail(asking, error)
            return True
        except RbeeError as error:
            self._fail(asking, error)
            return True
        answer = asking.answer
        self._said.answer(answer.text)
        self._screen.close()
        if not whole:
            self._screen.note("Canceled.")
        elif answer.done is not None and answer.done.stop_reason == "CONTEXT_FULL":
            told = "the answer stops here; ask on, and what was said first is left out."
            self._screen.note(f"→ The context is full: {told}")
        if whole:
            # The model is there; what is told of the next questions is how it is found again. On
            # that node the KV cache holds what was said.
            self._screen.narrates = False
            self._node = answer.node
        return True

    async def _unless_interrupted(self, asking: Asking) -> bool:
        """Whether the answer is whole; interrupted, the word of its end has come or was not waited
        for."""
        work = Breakable()
        self._interrupts.on_sigint = work.break_off
        try:
            if await work.do(_prove(asking)):
                return True
            await work.do(asking.cancel())
            return False
        finally:
            self._interrupts.on_sigint = None

    def _fail(self, asking: Asking, error: RbeeError) -> None:
        self._screen.close()
        asking.save()
        self._screen.error(error)
        self._said.answer(asking.answer.text)
        self._screen.narrates = not self._screen.quiet
        self._node = self._request.node


async def _prove(asking: Asking) -> None:
    await asking.run()


def _is_command(typed: str) -> bool:
    """A slash and one word: no path, and no question that begins with one."""
    return typed.startswith("/") and typed[1:].isalpha()
