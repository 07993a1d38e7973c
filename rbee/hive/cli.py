"""The hive's command line."""

from __future__ import annotations

import sys

import click

from rbee import __version__
from rbee.hive.settings import HiveSettings
from rbee.runtime.flags import daemon_flags, settings_or_exit, show_settings


@click.group()
@click.version_option(__version__, prog_name="rbee-hive")
def main() -> None:
    """Own the models and workers of this machine. The queen starts hives by itself."""


@main.command()
@daemon_flags(default_port=None)
@click.option("--addr", metavar="HOST:PORT", help="The same as --host and --port.")
def daemon(addr: str | None, **flags: object) -> None:
    """Listen for the queen, by default on 127.0.0.1:9200.

    By hand, for a machine whose hive should outlive every command:

        rbee-hive daemon
    """
    if addr is not None:
        host, _, port = addr.rpartition(":")
        if not host or not port.isdigit():
            raise click.BadParameter("write it as HOST:PORT", param_hint="--addr")
        flags |= {"host": host, "port": int(port)}
    config = settings_or_exit({f"hive.{name}": flags[name] for name in ("host", "port")})
    if flags["show_settings"]:
        show_settings(config)
        return
    from rbee.hive.app import main as run

    settings = HiveSettings(
        host=config.hive.host,
        port=config.hive.port,
        lifeline=bool(flags["lifeline"]),
        insecure=bool(flags["insecure"]),
        config=config,
    )
    sys.exit(run(settings))
