"""The options and arguments that several commands share, and what Tab completes them to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])
_Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], "list[CompletionItem[str]]"]


def _known(kind: str, other: bool = False) -> _Complete:
    """The names of that kind which there are, and which begin as what was typed so far; `other`:
    but for this machine's."""

    def complete(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem

        from rbee.keeper.commands import completion

        found = completion.suggest(kind, typed, local=not other)
        return [CompletionItem(name, help=about) for name, about in found]

    return complete


def node_option(
    name: str = "--node", *names: str, other: bool = False, **more: Any
) -> Callable[[F], F]:
    """An option that takes the name of a node; `other`: this machine is refused."""
    known = _known("nodes", other)
    return click.option(name, *names, callback=_readable, shell_complete=known, **more)


def file_option(*names: str, **more: Any) -> Callable[[F], F]:
    """An option that takes the path of a file. Whoever reads it says what is wrong with it."""
    return click.option(*names, shell_complete=_paths("file"), **more)


def folder_option(*names: str, **more: Any) -> Callable[[F], F]:
    """An option that takes the path of a folder."""
    return click.option(*names, shell_complete=_paths("dir"), **more)


def _paths(kind: str) -> _Complete:
    """The shell itself knows them."""

    def complete(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(typed, type=kind)]

    return complete


def _readable(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Bytes of argv that are no UTF-8 become a substitute, as they do on a terminal. A name that is
    empty is a variable that was not set."""
    if value == "":
        raise click.BadParameter("a node's name is not empty")
    return value and value.encode(errors="surrogateescape").decode(errors="replace")


def model_option(**more: Any) -> Callable[[F], F]:
    """--model, which takes a reference or an alias."""
    return click.option("--model", shell_complete=_known("models"), **more)


some_node = node_option(help="On which machine [default: this one].")
one_node = node_option(required=True, help="The node's name.")
other_node = node_option(other=True, required=True, help="The node's name.")
every_node = node_option(help="Of this node only.")
one_model = click.argument("model", shell_complete=_known("models"))
one_worker = click.option(
    "--id",
    "worker_id",
    required=True,
    help="The worker's id; its beginning will do.",
    shell_complete=_known("workers"),
)
as_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
port = click.IntRange(1, 65535)
