"""The processes that a test's own process has started itself."""

from __future__ import annotations

import contextlib
from types import ModuleType

import psutil


def running(module: ModuleType) -> list[psutil.Process]:
    """Those that run `module`. One that has ended and was not waited for yet runs nothing."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE and module.__name__ in child.cmdline():
                found.append(child)
    return found
