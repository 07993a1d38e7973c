"""`rbee-keeper hive …`."""

from __future__ import annotations

import sys

import click

from rbee.keeper.cli import flags


@click.group()
def hive() -> None:
    """Start, stop and look at the hives, one on each node.

    \b
        rbee-keeper hive start --node workstation
    """


@hive.command()
@flags.one_node
def start(**fields: object) -> None:
    """Start the hive of a node; it lasts until it is stopped.

    \b
        rbee-keeper hive start --node workstation

    The queen lasts with it: rbee-keeper daemon stop ends both.
    """
    _hive("start", fields)


@hive.command()
@flags.one_node
def stop(**fields: object) -> None:
    """End the hive of a node, and its workers.

    \b
        rbee-keeper hive stop --node workstation
    """
    _hive("stop", fields)


@hive.command()
@flags.node_option(help="Of this node; exit code 1 unless its hive runs.")
@flags.as_json
def status(**fields: object) -> None:
    """Tell which hives run, and how many workers they have.

    \b
        rbee-keeper hive status --node workstation
    """
    _hive("status", fields)


def _hive(action: str, fields: dict[str, object]) -> None:
    from rbee.keeper.app import nodes
    from rbee.runtime.screen import Screen

    as_json = bool(fields.pop("as_json", False))
    sys.exit(nodes.hive(action, fields, Screen(as_json=as_json)))
