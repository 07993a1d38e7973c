"""The processes that a test's own process has started itself."""

from __future__ import annotations

from types import ModuleType

import psutil


def running(module: ModuleType) -> list[psutil.Process]:
    """Those that run `module`. One that has ended and was not waited for yet runs nothing."""
    children = psutil.Process().children()
    alive = (child for child in children if child.status() != psutil.STATUS_ZOMBIE)
    return [child for child in alive if module.__name__ in child.cmdline()]
