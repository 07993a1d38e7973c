"""The main group: which commands there are, in which file each is, and the sections of the help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import click

from rbee.keeper.cli import elsewhere, flags
from rbee.runtime.usage import Group

# The file of each command.
OWN = {
    "auth": "auth",
    "completion": "machine",
    "config": "config",
    "daemon": "daemon",
    "detect": "machine",
    "doctor": "machine",
    "hive": "hive",
    "infer": "infer",
    "install": "machine",
    "logs": "worker",
    "models": "models",
    "nodes": "nodes",
    "queue": "queue",
    "setup": "setup",
    "worker": "worker",
}
AS_ELSEWHERE = (
    *("run", "chat", "search", "pull", "ps", "list", "show", "rm", "stop", "serve", "status"),
    *("update", "help"),
)
OLDER = {"pool": "pool", "workers": "worker"}
# Python has these names for itself: in the file they end in "_".
_TAKEN = ("list", "help")


class Commands(MutableMapping[str, click.Command]):
    """The commands by their names. Each is imported when it is wanted, with what it needs: most
    command lines want one."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._commands: dict[str, str | click.Command] = dict(files)

    def __getitem__(self, name: str) -> click.Command:
        command = self._commands[name]
        if isinstance(command, str):
            module = import_module(f"rbee.keeper.cli.{command}")
            command = self[name] = getattr(module, f"{name}_" if name in _TAKEN else name)
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        flags.add_debug(command)
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)

    def __contains__(self, name: object) -> bool:
        return name in self._commands


class Sections(Group):
    """The main group: its help shows the commands in sections."""

    def __init__(self, **attributes: Any) -> None:
        files = {**OWN, **dict.fromkeys(AS_ELSEWHERE, "verbs"), **OLDER}
        super().__init__(**attributes, commands=Commands(files))
        flags.add_debug_option(self)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """`ls` is `list`, as everywhere."""
        return super().get_command(ctx, "list" if cmd_name == "ls" else cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Raises UsageError, which says what rbee has in place of another program's command."""
        if self.get_command(ctx, args[0]) is None and args[0] in elsewhere.COMMANDS:
            ctx.fail(f"No such command '{args[0]}'. {elsewhere.COMMANDS[args[0]]}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """The same for an option."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            name = error.ctx.info_name if error.ctx else None
            if instead := elsewhere.OPTIONS.get((str(name), error.option_name)):
                raise click.UsageError(f"{error.message} {instead}", error.ctx) from None
            raise

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in (
            ("Commands", tuple(OWN)),
            ("As in other programs", AS_ELSEWHERE),
            ("Older names", tuple(OLDER)),
        ):
            width = formatter.width - 6 - max(map(len, names))
            rows = [(name, self.commands[name].get_short_help_str(width)) for name in names]
            with formatter.section(title):
                formatter.write_dl(rows)
