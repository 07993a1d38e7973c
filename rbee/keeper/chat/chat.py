"""A chat: one question after another, each asked together with the conversation so far."""

from __future__ import annotations

from typing import Protocol

from rbee.contract.errors import PromptTooLong, RbeeError
from rbee.contract.tasks import TaskRequest
from rbee.keeper.chat.answer import Answer, summary
from rbee.keeper.chat.commands import ENDS, RETRY, Commands, Explain, is_command
from rbee.keeper.chat.conversation import content
from rbee.keeper.chat.saved_chats import SavedChats
from rbee.keeper.chat.state import ChatState
from rbee.keeper.chat.task import Task
from rbee.keeper.session.queen import Queen
from rbee.keeper.terminal.typed_ahead import not_echoed
from rbee.runtime import debug_trace, paths
from rbee.runtime.command import Interrupts
from rbee.runtime.concurrency import Interruptible
from rbee.runtime.screen import Screen

_WELCOME = "Ask a question. /help lists the commands, Ctrl+D ends the chat."
_HOW_TO_END = "To end the chat: Ctrl+D or /exit"


class Lines(Protocol):
    """The source of the questions."""

    async def read(self) -> str: ...

    def remember(self, line: str) -> None: ...


class Chat:
    """Goes on until the person ends it. After an error it asks for the next question."""

    def __init__(
        self,
        queen: Queen,
        request: TaskRequest,
        screen: Screen,
        interrupts: Interrupts,
        lines: Lines,
        explain: Explain = lambda error, _: error,
    ) -> None:
        """`request` is asked with each question; its messages come before the first one. `explain`
        puts an error of a setting into the words of the chat."""
        self._queen = queen
        self._screen = screen
        self._interrupts = interrupts
        self._lines = lines
        self._state = ChatState(request)
        saved = SavedChats(paths.state_dir() / "chats")
        self._commands = Commands(self._state, queen, screen, saved, explain)

    async def run(self, first: str | None) -> None:
        """Chat; `first` is a question that was asked already."""
        if not self._screen.quiet:
            self._screen.note(_WELCOME)
        if first is not None:
            self._lines.remember(first)
            self._screen.say(*f"> {first}".split("\n"))
            await self._turn(first)
        while (typed := await self._read()) is not None and typed not in ENDS:
            if (trace := debug_trace.current()) is not None:
                trace.begin()
            if typed == RETRY:
                await self._again()
            elif is_command(typed):
                with not_echoed(as_keys=True):
                    await self._commands.run(typed)
            elif typed:
                await self._turn(typed)

    async def _read(self) -> str | None:
        """What was typed; None when the person ends the chat."""
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
        question = self._state.conversation.again()
        if question is None:
            self._screen.note("No question has been asked yet.")
        else:
            await self._turn(question)

    async def _turn(self, question: str) -> None:
        """Ask one question. Raises CancelledError when the chat must end."""
        self._state.conversation.ask(question)
        with not_echoed(as_keys=True):
            while not await self._ask():
                continue
        self._screen.close()
        self._screen.say("")

    async def _ask(self) -> bool:
        """Whether the question is done: answered, canceled or failed. Otherwise it must be asked
        again, with less of the conversation."""
        conversation = self._state.conversation
        request = self._state.question()
        task = Task(self._queen, request, self._screen)
        try:
            whole = await self._run_breakable(task)
        except PromptTooLong as error:
            if dropped := conversation.shorten(error, request.max_tokens):
                turns = "turn was" if dropped == 1 else f"{dropped} turns were"
                self._screen.note(f"→ The context is full: the oldest {turns} left out.")
                return False
            self._fail(task, error)
            return True
        except RbeeError as error:
            self._fail(task, error)
            return True
        conversation.answer(task.answer.text)
        self._screen.close()
        self._end(task.answer, whole)
        return True

    def _end(self, answer: Answer, whole: bool) -> None:
        if not whole:
            self._screen.note("Canceled.")
        elif answer.done is not None:
            if answer.done.stop_reason == "CONTEXT_FULL":
                text = "the answer stops here. The next question leaves the oldest turns out."
                self._screen.note(f"→ The context is full: {text}")
            if self._state.shows_figures:
                self._screen.aside(summary(answer.done))
        if answer.tokens:
            # The model is loaded: narration would only say that it is found again. The KV cache of
            # that node holds the conversation.
            self._screen.narrates = False
            self._state.node = answer.node

    async def _run_breakable(self, task: Task) -> bool:
        """Whether the answer is complete. After an interrupt the queen has confirmed the end of the
        work, or a second interrupt has cut that short."""
        work = Interruptible()
        self._interrupts.on_sigint = work.interrupt
        try:
            if await work.run(_prove(task)):
                return True
            await work.run(task.cancel())
            return False
        finally:
            self._interrupts.on_sigint = None

    def _fail(self, task: Task, error: RbeeError) -> None:
        self._screen.close()
        task.save()
        self._screen.error(error)
        self._state.conversation.answer(task.answer.text)
        self._screen.narrates = not self._screen.quiet
        self._state.forget_node()


async def _prove(task: Task) -> None:
    await task.run()
