"""Tasks and threads: stop a task without losing a cancellation of its caller, finish one in spite
of a cancellation, and run work on threads that do not hold up the end of the program and can end
with their caller."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, Protocol, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

_caller_gone: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar(
    "caller_gone", default=None
)


class CallerGone(Exception):
    """Raised on a thread of `in_thread`: nobody hears its outcome any more."""


def go_on() -> None:
    """For long work on a thread of `in_thread`, at every step: raises CallerGone once its caller
    has been canceled. Elsewhere it does nothing."""
    gone = _caller_gone.get()
    if gone is not None and gone.is_set():
        raise CallerGone


class InThread(Protocol):
    """Does work on a thread, and returns or raises its outcome."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel `task` and wait until it has ended, however it ends.

    Awaiting the task itself and suppressing CancelledError would also swallow a cancellation of
    the caller.
    """
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # retrieved, so that asyncio does not report it as lost


async def finish(work: Coroutine[Any, Any, Any]) -> None:
    """Do `work` to its end, which must be near, even if the caller is canceled meanwhile.

    For clean-up in a handler of CancelledError that raises it again. The outcome is dropped.
    """
    task = asyncio.create_task(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


class Interruptible:
    """One piece of work at a time, which another task may interrupt."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._interrupted = False

    async def run(self, work: Coroutine[None, None, None]) -> bool:
        """Do `work`, and return whether it reached its end. Raises what `work` raises; if the
        caller is canceled, so is `work`."""
        task = self._task = asyncio.create_task(work)
        self._interrupted = False
        try:
            await task
        except asyncio.CancelledError:
            if not task.done():
                await stop(task)
            if not self._interrupted:
                raise
            return False
        finally:
            self._task = None
        return True

    def interrupt(self) -> None:
        """Cancel the current work, if there is any."""
        if self._task is not None:
            self._interrupted = True
            self._task.cancel()


async def in_thread(work: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
    """Run `work` on a thread of its own, in the caller's context, and return or raise its outcome.

    Unlike with `asyncio.to_thread`, the program's end does not wait for that thread, and work that
    hangs does not use up a pool: for calls that wait for other machines, or for files that
    others name. If the caller is canceled, the work goes on unheard until it calls `go_on`.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    gone = threading.Event()
    context = contextvars.copy_context()
    context.run(_caller_gone.set, gone)

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None is a T if there is no error

    def run() -> None:
        result, failed = None, None
        try:
            result = context.run(work, *args, **more)
        except BaseException as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is waiting
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, name="in_thread", daemon=True).start()
    try:
        return await done
    except asyncio.CancelledError:
        gone.set()
        raise
