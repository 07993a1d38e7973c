"""`rbee-keeper daemon …`."""

from __future__ import annotations

import sys

import click

from rbee.keeper.cli import flags


@click.group()
def daemon() -> None:
    """Keep a queen, and with it the models, between commands.

    \b
        rbee-keeper daemon start
    """


@daemon.command()
def start() -> None:
    """Start a queen that lasts until it is stopped.

    \b
        rbee-keeper daemon start
    """
    _daemon("start")


@daemon.command()
def stop() -> None:
    """End the queen and everything that it started; say what was seen to end.

    \b
        rbee-keeper daemon stop
    """
    _daemon("stop")


@daemon.command()
@flags.as_json
def status(as_json: bool) -> None:
    """Say whether a queen runs and what it has loaded; exit code 1 where none runs.

    \b
        rbee-keeper daemon status
    """
    _daemon("status", as_json)


def _daemon(action: str, as_json: bool = False) -> None:
    from rbee.keeper.app import work
    from rbee.runtime.screen import Screen

    sys.exit(work.daemon(action, Screen(as_json=as_json)))
