"""Wrong usage: click quotes what was typed, which may have been copied from others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import click


class Group(click.Group):
    """The group of a program's commands."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Parse the words of the command line."""
        with _safe():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Parse those of the command, and run it."""
        with _safe():
            return super().invoke(ctx)


@contextlib.contextmanager
def _safe() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        from rbee.runtime import safe_text  # --help needs nothing but click

        vars(error)["message"] = safe_text.line(error.message)  # click declares it as final
        raise
