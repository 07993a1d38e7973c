"""Native code that recurses, called on a stack that is large enough for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

# The size of a new thread's stack is one for the whole process.
_starting = threading.Lock()


def call_with_stack(size: int, work: Callable[[], T]) -> T:
    """Do the `work` on a thread with a stack of `size` bytes. Raises MemoryError if there is no
    memory for that."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    with _starting:
        before = threading.stack_size(size)
        try:
            threading.Thread(target=run, daemon=True).start()
        except RuntimeError as error:
            raise MemoryError(str(error)) from None
        finally:
            threading.stack_size(before)
    return done.result()
