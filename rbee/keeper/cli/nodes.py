"""`rbee-keeper nodes`: every node at once."""

from __future__ import annotations

import click

from rbee.keeper.cli import flags


@click.command()
@click.option("--watch", is_flag=True, help="Keep showing them, as they change, until Ctrl+C.")
@flags.as_json
def nodes(**given: object) -> None:
    """Show every node: devices, free memory, workers, downloads, and how old that is.

    \b
        rbee-keeper nodes --watch

    The queen knows all this without asking: the nodes tell it what changes. To ask the hives now:
    rbee-keeper hive status. With --watch, a pipe gets all of it again whenever something changes,
    and with --json a line of JSON each time.
    """
    from rbee.keeper.commands import nodes as commands

    commands.nodes(**given)
