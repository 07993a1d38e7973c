"""`rbee-keeper logs`."""

from __future__ import annotations

import sys

import click

from rbee.keeper.cli import flags

# As the contract has it, whose import --help need not wait for.
_MOST_LINES = 10_000


@click.command()
@flags.node_option(help="Of this node [default: of all whose hive runs, or comes to run].")
@click.option("--follow", is_flag=True, help="Go on with what is written, until Ctrl+C.")
@click.option(
    "--lines",
    type=click.IntRange(0, _MOST_LINES),
    default=100,
    show_default=True,
    help="How many of the last lines.",
)
@click.option("--json", "as_json", is_flag=True, help="Every line as a line of JSON.")
@click.option("--quiet", is_flag=True, help="No narration.")
def logs(as_json: bool, quiet: bool, **fields: object) -> None:
    """Show what a node's hive and workers log.

    \b
        rbee-keeper logs --node workstation --follow

    Each line says who wrote it: rbee-hive, or a worker by its id. Following goes on when the hive
    ends and another one comes.
    """
    from rbee.keeper.app import workers
    from rbee.runtime.screen import Screen

    sys.exit(workers.logs(fields, Screen(quiet, as_json, streams=True)))
