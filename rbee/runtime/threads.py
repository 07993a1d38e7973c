"""Work on threads that do not hold up the end of the program."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` on a thread of its own, and return or raise its outcome.

    Unlike with `asyncio.to_thread`, the program's end does not wait for that thread, and work that
    hangs does not use up a pool: for calls that wait for other machines. If the caller is canceled,
    the work goes on unheard.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

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
            result = work()
        except BaseException as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is waiting
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, name="in_thread", daemon=True).start()
    return await done
