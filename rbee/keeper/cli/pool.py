"""`rbee-keeper pool …`: older names of commands."""

from __future__ import annotations

import click

from rbee.keeper.cli import flags

_host = flags.node_option("--host", required=True, help="The node's name or address.")


@click.group()
def pool() -> None:
    """Older names of commands: health, status, models, worker, git.

    \b
        rbee-keeper pool health --host workstation.home.arpa
    """


@pool.command()
@_host
@flags.as_json
def health(**given: object) -> None:
    """The same as rbee-keeper hive status --node.

    \b
        rbee-keeper pool health --host workstation.home.arpa
    """
    from rbee.keeper.commands import pool as commands

    commands.health(**given)


@pool.command()
@_host
@flags.as_json
def status(**given: object) -> None:
    """The same as rbee-keeper hive status --node.

    \b
        rbee-keeper pool status --host workstation.home.arpa
    """
    from rbee.keeper.commands import pool as commands

    commands.health(**given)


@pool.command()
@_host
@flags.as_json
def models(**given: object) -> None:
    """The same as rbee-keeper models list --node.

    \b
        rbee-keeper pool models --host workstation.home.arpa
    """
    from rbee.keeper.commands import pool as commands

    commands.list_models(**given)


@pool.command()
@_host
@flags.as_json
def worker(**given: object) -> None:
    """List the workers of a node.

    \b
        rbee-keeper pool worker --host workstation.home.arpa
    """
    from rbee.keeper.commands import pool as commands

    commands.list_workers(**given)


@pool.command()
@_host
def git(**given: object) -> None:
    """The same as rbee-keeper setup install --node.

    \b
        rbee-keeper pool git --host workstation.home.arpa
    """
    from rbee.keeper.commands import pool as commands

    commands.git(**given)
