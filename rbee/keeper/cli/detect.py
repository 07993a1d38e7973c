"""`rbee-keeper detect`."""

from __future__ import annotations

import sys

import click

from rbee.keeper.cli import flags


@click.command()
@flags.some_node
@flags.as_json
def detect(node: str | None, as_json: bool) -> None:
    """Tell what a machine can compute on.

    \b
        rbee-keeper detect
        rbee-keeper detect --node workstation

    Of this machine also what its llama.cpp can't use, and the command that mends it.
    """
    from rbee.keeper.app import workers
    from rbee.runtime.screen import Screen

    sys.exit(workers.detect(node, Screen(as_json=as_json)))
