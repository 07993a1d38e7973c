"""`rbee-keeper hive …`."""

from __future__ import annotations

import click

from rbee.keeper.cli import flags


@click.group()
def hive() -> None:
    """Start, stop and check the hives, one on each node.

    \b
        rbee-keeper hive start --node workstation
    """


@hive.command()
@flags.one_node
def start(**given: object) -> None:
    """Start the hive of a node; it runs until it is stopped.

    \b
        rbee-keeper hive start --node workstation

    The queen keeps running with it; rbee-keeper daemon stop ends both.
    """
    from rbee.keeper.commands import hive as commands

    commands.start(**given)


@hive.command()
@flags.one_node
def stop(**given: object) -> None:
    """Stop the hive of a node, and its workers.

    \b
        rbee-keeper hive stop --node workstation
    """
    from rbee.keeper.commands import hive as commands

    commands.stop(**given)


@hive.command()
@flags.node_option(help="Show this node only; exit code 1 unless its hive runs.")
@flags.as_json
def status(**given: object) -> None:
    """Show which hives run, and how many workers they have.

    \b
        rbee-keeper hive status --node workstation
    """
    from rbee.keeper.commands import hive as commands

    commands.status(**given)
