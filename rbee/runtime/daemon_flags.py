"""The flags that all daemons share, the settings that they become, and the exit on bad ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
import msgspec

from rbee.contract.config import Config
from rbee.contract.errors import RbeeError
from rbee.runtime.error_text import explain

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound="DaemonSettings")


class DaemonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a daemon listens and who it obeys. `config` holds everything else."""

    host: str
    port: int
    lifeline: bool
    insecure: bool
    config: Config


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


def daemon_settings(kind: type[S], section: str, flags: Mapping[str, object]) -> S:
    """The settings of the daemon of a section, from flags and configuration. With --show-settings,
    print them and exit."""
    config = settings_or_exit({f"{section}.{name}": flags[name] for name in ("host", "port")})
    if flags["show_settings"]:
        show_settings(config)
        sys.exit()
    own = getattr(config, section)
    given = {name: bool(flags[name]) for name in ("lifeline", "insecure")}
    return kind(host=own.host, port=own.port, config=config, **given)


def settings_or_exit(flags: Mapping[str, object]) -> Config:
    """The effective configuration. If it is not valid, print why and exit."""
    from rbee.runtime import settings

    try:
        return settings.load(flags)
    except RbeeError as error:
        click.echo(explain(error), err=True)
        sys.exit(error.exit_code)


def show_settings(config: Config) -> None:
    """Print the effective settings as TOML."""
    from rbee.runtime import settings

    click.echo(settings.show(config), nl=False)
