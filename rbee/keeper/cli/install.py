"""`rbee-keeper install`."""

from __future__ import annotations

import sys

import click

from rbee.keeper.cli import flags


@click.command()
@click.option("--user", is_flag=True, help="For you alone, in your home [the default].")
@click.option("--system", is_flag=True, help="For everybody on this machine.")
@flags.folder_option("--root", metavar="DIR", help="With --system: another / than this one's.")
@click.option("--systemd", is_flag=True, help="Write units for queen and hive, too.")
def install(user: bool, system: bool, root: str | None, systemd: bool) -> None:
    """Put the four programs where a shell finds them, with a config file to change.

    \b
        rbee-keeper install
        sudo rbee-keeper install --system --systemd

    What is there already is left alone: install again as often as you like. --user needs
    ~/.local/bin, ~/.config/rbee and ~/.rbee; --system /usr/local/bin, /etc/rbee and /var/lib/rbee.
    """
    if user and system:
        raise click.UsageError("--user and --system: one of the two.")
    if root is not None and not system:
        raise click.UsageError("--root goes with --system.")
    if root == "":
        raise click.UsageError("--root is empty: name a folder.")
    from rbee.keeper.app import machine
    from rbee.runtime.screen import Screen

    sys.exit(machine.install(system, root, systemd, Screen()))
