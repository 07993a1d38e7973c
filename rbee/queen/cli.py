"""The queen's command line."""

from __future__ import annotations

import sys

import click

from rbee import __version__
from rbee.queen.settings import QueenSettings
from rbee.runtime.daemon_flags import daemon_flags, settings_or_exit, show_settings


@click.group()
@click.version_option(__version__, prog_name="queen-rbee")
def main() -> None:
    """Decide where work goes and relay the answers. rbee-keeper starts a queen by itself.

    \b
        queen-rbee daemon
    """


@main.command()
@daemon_flags(default_port=None)
def daemon(**flags: object) -> None:
    """Listen for rbee-keeper, by default on 127.0.0.1:8080.

    By hand, to keep models warm between commands (or: rbee-keeper daemon start):

        queen-rbee daemon
    """
    config = settings_or_exit({f"queen.{name}": flags[name] for name in ("host", "port")})
    if flags["show_settings"]:
        show_settings(config)
        return
    from rbee.queen.app import main as run

    settings = QueenSettings(
        host=config.queen.host,
        port=config.queen.port,
        lifeline=bool(flags["lifeline"]),
        insecure=bool(flags["insecure"]),
        config=config,
    )
    sys.exit(run(settings))
