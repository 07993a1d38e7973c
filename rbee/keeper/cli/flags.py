"""The options and arguments that several commands share, and how Tab completes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_DEBUG = "debug"

F = TypeVar("F", bound=Callable[..., Any])
_Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], "list[CompletionItem[str]]"]


def _known(kind: str, other: bool = False) -> _Complete:
    """Completes with the existing names of that kind; `other`: except for this machine's."""

    def complete(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem

        from rbee.keeper.commands import completion

        found = completion.suggest(kind, typed, local=not other)
        return [CompletionItem(name, help=about) for name, about in found]

    return complete


def node_option(
    name: str = "--node", *names: str, other: bool = False, **more: Any
) -> Callable[[F], F]:
    """An option that takes the name of a node; `other`: of another machine than this one."""
    known = _known("nodes", other)
    return click.option(name, *names, callback=_readable, shell_complete=known, **more)


def file_option(*names: str, **more: Any) -> Callable[[F], F]:
    """An option that takes the path of a file. It is not checked here."""
    return click.option(*names, shell_complete=_paths("file"), **more)


def folder_option(*names: str, **more: Any) -> Callable[[F], F]:
    """An option that takes the path of a folder."""
    return click.option(*names, shell_complete=_paths("dir"), **more)


def _paths(kind: str) -> _Complete:
    """The shell itself completes paths."""

    def complete(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(typed, type=kind)]

    return complete


def _readable(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Replaces bytes of argv that are not UTF-8, as a terminal does. An empty name comes from a
    variable that was not set."""
    if value == "":
        raise click.BadParameter("a node's name can't be empty")
    return value and value.encode(errors="surrogateescape").decode(errors="replace")


def model_option(*names: str, **more: Any) -> Callable[[F], F]:
    """An option that takes a reference or an alias."""
    return click.option(*names or ["--model"], shell_complete=_known("models"), **more)


known_models = _known("models")
known_tasks = _known("tasks")
known_keys = _known("keys")
some_node = node_option(help="The machine [default: this one].")
chosen_node = node_option(help="The machine [default: the queen chooses].")
one_node = node_option(required=True, help="The node's name.")
other_node = node_option("--node", "node_name", other=True, required=True, help="The node's name.")
every_node = node_option(help="Show this node only.")
one_model = click.argument("model", shell_complete=known_models)
key_argument = click.argument("name", shell_complete=known_keys)
one_worker = click.option(
    "--id",
    "worker_id",
    help="The worker's id, or the beginning of it.",
    shell_complete=_known("workers"),
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
as_events = click.option(
    "--json", "as_events", is_flag=True, help="Print each event as a line of JSON."
)
quiet = click.option("--quiet", "-q", is_flag=True, help="Don't show what rbee is doing.")
verbose = click.option(
    "--verbose", is_flag=True, help="On a terminal, keep each step on the screen."
)
port = click.IntRange(1, 65535)
backend = click.option(
    "--backend",
    help="cpu, cuda, metal … [default: the best one available].",
    shell_complete=_known("backends"),
)
device = click.option("--device", type=int, help="The number of the backend's device.")
explain = click.option("--explain", is_flag=True, help="Say why the queen chose this node.")
force = click.option(
    "--force", is_flag=True, help="Load the model even if it may not fit in memory."
)


def number_or_none(*names: str, **more: Any) -> Callable[[F], F]:
    """An option that takes a whole number, or the word none."""
    return click.option(*names, metavar="INTEGER|none", callback=_number_or_none, **more)


def _number_or_none(_: click.Context, __: click.Parameter, value: str | None) -> int | str | None:
    if value is None or value == "none":
        return value
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a whole number, nor none.") from None


def add_debug(command: click.Command) -> None:
    """Add --debug to `command` and to everything below it. A command may be part of two groups."""
    add_debug_option(command)
    if isinstance(command, click.Group):
        for each in command.commands.values():
            add_debug(each)


def add_debug_option(command: click.Command) -> None:
    """Add --debug to `command`, unless it has it."""
    if not any(parameter.name == _DEBUG for parameter in command.params):
        command.params.append(_debug_option())


def _debug_option() -> click.Option:
    return click.Option(
        [f"--{_DEBUG}"],
        is_flag=True,
        expose_value=False,
        callback=_turn_on_debug,
        help="Show every request and its time; on an error also logs and traceback.",
    )


def _turn_on_debug(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from rbee.runtime import debug_trace

        before = debug_trace.wanted.set(True)
        context.call_on_close(lambda: debug_trace.wanted.reset(before))
