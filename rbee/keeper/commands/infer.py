"""`rbee-keeper infer`: one prompt and its answer, or a chat."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import NoReturn

from msgspec.structs import replace

from rbee.contract.errors import InvalidRequest, RbeeError, RequestCanceled
from rbee.contract.registry import LOCAL
from rbee.contract.tasks import TaskRequest
from rbee.keeper.chat.answer import summary
from rbee.keeper.chat.task import Task
from rbee.keeper.commands.runner import Flags, message, request_or_exit, run_configured, screen_of
from rbee.keeper.session.queen import Queen
from rbee.keeper.session.session import leave, say_canceled
from rbee.keeper.settings import KeeperSettings
from rbee.keeper.terminal.typed_ahead import not_echoed
from rbee.runtime import paths, safe_text
from rbee.runtime.command import READER_GONE, Interrupts
from rbee.runtime.leave import INTERRUPTED
from rbee.runtime.outputs import on_reader_gone
from rbee.runtime.screen import Screen

_KEEP_WARM = "→ To keep the model warm between commands: rbee-keeper daemon start"

_FIRST_STEP = "👑 finding the queen, or starting one"


def infer(prompt: str, system: str | None, raw: bool, **flags: object) -> NoReturn:
    """Ask one question. `flags` are the task's fields."""
    screen = screen_of(flags)
    content: Flags = {"prompt": prompt} if raw else _messages(system, prompt)
    request = _task(content | flags, screen)
    run_configured(lambda settings: _infer(settings, screen, request), screen)


def chat(first: str | None, system: str | None, **flags: object) -> NoReturn:
    """Chat until the person ends it; `first` is a question that was asked already."""
    screen = screen_of(flags)
    # Checked now, with a question in the place of those that are still to come.
    request = _task(_messages(system, first or "?") | flags, screen)
    request = replace(request, messages=(request.messages or [])[:-1])
    run_configured(lambda settings: _chat(settings, screen, request, first), screen)


def _messages(system: str | None, prompt: str) -> Flags:
    beginning = [] if system is None else [{"role": "system", "content": system}]
    return {"messages": [*beginning, {"role": "user", "content": prompt}]}


def _task(fields: Flags, screen: Screen) -> TaskRequest:
    return request_or_exit(lambda: message(TaskRequest, fields), fields, screen, kind=TaskRequest)


def _queen(settings: KeeperSettings, request: TaskRequest) -> Queen:
    return Queen(settings, with_hive=request.node in (None, LOCAL))


async def _infer(settings: KeeperSettings, screen: Screen, request: TaskRequest) -> int:
    """Ask, show the answer, and leave nothing behind.

    Ctrl+C cancels the task and waits for the confirmation; the second one ends at once. When nobody
    reads the answer any more, the task is canceled too, without a word.
    """
    queen = _queen(settings, request)
    interrupts = Interrupts()
    task = Task(queen, request, screen)
    try:
        with on_reader_gone(interrupts.cancel_quietly), not_echoed():
            code = await _run(queen, task, screen)
    except (asyncio.CancelledError, BrokenPipeError) as error:
        quietly = interrupts.reader_is_gone or isinstance(error, BrokenPipeError)
        code = READER_GONE if quietly else INTERRUPTED
        if interrupts.count < 2:
            with contextlib.suppress(asyncio.CancelledError):
                await task.cancel()
    if code == INTERRUPTED:
        _end_events(screen, task)
        say_canceled(screen)
    return await leave(queen, interrupts, screen, code)


async def _run(queen: Queen, task: Task, screen: Screen) -> int:
    try:
        screen.step(_FIRST_STEP)
        await queen.reach()
        done = await task.run()
        screen.close()
        for call in task.answer.calls:
            screen.result(safe_text.document(call.as_json()))
    except RbeeError as error:
        with contextlib.suppress(RbeeError):
            screen.close()
        task.save()
        screen.error(error)
        return error.exit_code
    screen.aside(summary(done))
    await task.wait_until_unloaded()
    _hint(queen, screen)
    return 0


def _end_events(screen: Screen, task: Task) -> None:
    """In JSON the last event says that the task was canceled, unless the answer was complete."""
    if screen.as_json and task.answer.done is None:
        with contextlib.suppress(RbeeError, BrokenPipeError):
            screen.show(RequestCanceled().envelope())


async def _chat(
    settings: KeeperSettings, screen: Screen, request: TaskRequest, first: str | None
) -> int:
    """The queen, and so the model, stays for the whole chat."""
    # prompt_toolkit takes long to import.
    from rbee.keeper.chat.chat import Chat
    from rbee.keeper.chat.conversation import is_open
    from rbee.keeper.terminal.line_editor import LineEditor

    queen = _queen(settings, request)
    interrupts = Interrupts()
    try:
        screen.step(_FIRST_STEP)
        with not_echoed(as_keys=True):
            await queen.reach()
        screen.close()
        lines = LineEditor(paths.state_dir() / "history", is_open)
        await Chat(queen, request, screen, interrupts, lines, _in_the_chat).run(first)
        code = 0
        _hint(queen, screen)
    except RbeeError as error:
        screen.error(error)
        code = error.exit_code
    except asyncio.CancelledError:
        say_canceled(screen)
        code = INTERRUPTED
    except BrokenPipeError:  # the terminal is gone
        code = READER_GONE
    return await leave(queen, interrupts, screen, code)


def _in_the_chat(error: InvalidRequest, fields: Mapping[str, object]) -> InvalidRequest:
    """Name what was set as it was typed there: without the dashes of a flag."""
    from rbee.keeper.commands.flag_errors import for_command_line

    return for_command_line(error, {name: name for name in fields}, TaskRequest)


def _hint(queen: Queen, screen: Screen) -> None:
    """Tell a person who has waited for everything to start how to be faster the next time."""
    if queen.started_here and not screen.quiet and not screen.as_json:
        screen.aside(_KEEP_WARM)
