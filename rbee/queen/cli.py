"""The queen's command line."""

from __future__ import annotations

import click

from rbee import __version__
from rbee.runtime.daemon_flags import daemon_flags
from rbee.runtime.usage import Group


@click.group(cls=Group)
@click.version_option(__version__, prog_name="queen-rbee")
def main() -> None:
    """Decide where work goes and relay the answers. rbee-keeper starts a queen by itself.

    \b
        queen-rbee daemon
    """


@main.command()
@daemon_flags(default_port=None)
@click.option(
    "--with-hive", is_flag=True, help="Prepare this machine's hive: a command will need it."
)
def daemon(**flags: object) -> None:
    """Listen for rbee-keeper, by default on 127.0.0.1:8080.

    By hand, to keep models warm between commands (or: rbee-keeper daemon start):

        queen-rbee daemon
    """
    from rbee.queen.start import start

    start(flags)
