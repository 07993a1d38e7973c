"""The flags that all daemons share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def daemon_flags(default_port: int | None) -> Callable[[F], F]:
    """--host, --port, --lifeline, --insecure and --show-settings."""
    shown = "config" if default_port is None else "any free port"
    options = (
        click.option("--host", help="The address to listen on [default: 127.0.0.1]."),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=default_port,
            help=f"The port; 0 means any free port [default: {shown}].",
        ),
        click.option("--lifeline", is_flag=True, help="Shut down when standard input ends."),
        click.option("--insecure", is_flag=True, help="Do not require an API key, on any address."),
        click.option(
            "--show-settings", is_flag=True, help="Print the effective settings as TOML and exit."
        ),
    )

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
