"""A yes-or-no question to the person at the terminal, which Ctrl+C can cancel."""

from __future__ import annotations

import asyncio
import os
import sys

from rbee.runtime import safe_text

_YES = ("y", "yes")
_NO = ("", "n", "no")


def can_ask() -> bool:
    """Whether a person can read the question and answer it."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


async def ask(question: str) -> bool:
    """Ask until the answer is yes or no. Enter and Ctrl+D mean no."""
    while True:
        print(f"{safe_text.line(question)} [y/N]: ", end="", file=sys.stderr, flush=True)
        try:
            line = await _line()
        except asyncio.CancelledError:
            print(file=sys.stderr)
            raise
        if not line:
            print(file=sys.stderr)
        answer = line.strip().lower()
        if answer in _YES or answer in _NO:
            return answer in _YES


async def _line() -> str:
    """One line of standard input, empty at its end. A thread that reads could not be canceled."""
    loop = asyncio.get_running_loop()
    descriptor = sys.stdin.fileno()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
    # A terminal delivers whole lines.
    return os.read(descriptor, 1024).decode(errors="replace")
