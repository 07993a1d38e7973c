"""`rbee-keeper doctor`."""

from __future__ import annotations

import sys

import click

from rbee.keeper.cli import flags


@click.command()
@flags.as_json
def doctor(as_json: bool) -> None:
    """Look at everything, and say what is wrong and what to type.

    \b
        rbee-keeper doctor

    Config, programs, keys, permissions, databases, disk, memory, backends, ports, and of each node
    whether it can be reached, its version and its clock. Nothing is mended, and nothing stays
    running; a queen who is started to ask the nodes leaves in ~/.rbee what every queen does: a key,
    databases, logs. Exit code 1 where there is a problem, marked ✗; ! is only a warning.
    """
    from rbee.keeper.app import machine
    from rbee.runtime.screen import Screen

    sys.exit(machine.doctor(Screen(as_json=as_json)))
