"""`rbee-keeper daemon …`."""

from __future__ import annotations

import click

from rbee.keeper.cli import flags


@click.group()
def daemon() -> None:
    """Keep a queen, and the models that it has loaded, between commands.

    \b
        rbee-keeper daemon start
    """


@daemon.command()
def start() -> None:
    """Start a queen that runs until it is stopped.

    \b
        rbee-keeper daemon start
    """
    from rbee.keeper.commands import daemon as commands

    commands.start()


@daemon.command()
def stop() -> None:
    """Stop the queen and everything that it started, and report what has ended.

    \b
        rbee-keeper daemon stop
    """
    from rbee.keeper.commands import daemon as commands

    commands.stop()


@daemon.command()
@flags.as_json
def status(**given: object) -> None:
    """Say whether a queen runs and what it has loaded; exit code 1 if none runs.

    \b
        rbee-keeper daemon status
    """
    from rbee.keeper.commands import daemon as commands

    commands.status(**given)
