"""`rbee-keeper daemon …`."""

from __future__ import annotations

import sys

import click


@click.group()
def daemon() -> None:
    """Keep a queen, and with it the models, between commands."""


@daemon.command()
def start() -> None:
    """Start a queen that lasts until it is stopped."""
    _daemon("start")


@daemon.command()
def stop() -> None:
    """End the queen and everything that it started; say what was seen to end."""
    _daemon("stop")


@daemon.command()
def status() -> None:
    """Say whether a queen runs and what it has loaded; exit code 1 where none runs."""
    _daemon("status")


def _daemon(action: str) -> None:
    from rbee.keeper.app import work

    sys.exit(work.daemon(action))
