"""`--debug`, which every command knows, before its name and behind it."""

from __future__ import annotations

import click

_NAME = "debug"


def offer(group: click.Group) -> None:
    """Give the flag to `group` and to everything below it. A command may stand in two groups."""
    for command in (group, *group.commands.values()):
        if not any(parameter.name == _NAME for parameter in command.params):
            command.params.append(_flag())
        if isinstance(command, click.Group) and command is not group:
            offer(command)


def _flag() -> click.Option:
    return click.Option(
        [f"--{_NAME}"],
        is_flag=True,
        expose_value=False,
        callback=_want,
        help="Tell every request and its time; of an error also logs and traceback.",
    )


def _want(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        # Late: `--help` is asked for more often.
        from rbee.runtime import debug_trace

        before = debug_trace.wanted.set(True)
        context.call_on_close(lambda: debug_trace.wanted.reset(before))
