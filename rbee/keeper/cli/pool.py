"""`rbee-keeper pool …`: older names of commands."""

from __future__ import annotations

import sys

import click

from rbee.keeper.cli import flags

_host = flags.node_option("--host", required=True, help="The node's name, or its address.")


@click.group()
def pool() -> None:
    """Older names: health and status, models, worker, git.

    \b
        rbee-keeper pool health --host workstation.home.arpa
    """


@pool.command()
@_host
@flags.as_json
def health(host: str, as_json: bool) -> None:
    """As rbee-keeper hive status --node.

    \b
        rbee-keeper pool health --host workstation.home.arpa
    """
    _pool("health", host, as_json)


@pool.command()
@_host
@flags.as_json
def status(host: str, as_json: bool) -> None:
    """As rbee-keeper hive status --node.

    \b
        rbee-keeper pool status --host workstation.home.arpa
    """
    _pool("status", host, as_json)


@pool.command()
@_host
@flags.as_json
def models(host: str, as_json: bool) -> None:
    """As rbee-keeper models list --node.

    \b
        rbee-keeper pool models --host workstation.home.arpa
    """
    _pool("models", host, as_json)


@pool.command()
@_host
@flags.as_json
def worker(host: str, as_json: bool) -> None:
    """List the workers of a node.

    \b
        rbee-keeper pool worker --host workstation.home.arpa
    """
    _pool("worker", host, as_json)


@pool.command()
@_host
def git(host: str) -> None:
    """As rbee-keeper setup install --node.

    \b
        rbee-keeper pool git --host workstation.home.arpa
    """
    _pool("git", host)


def _pool(action: str, host: str, as_json: bool = False) -> None:
    from rbee.keeper.app import nodes
    from rbee.runtime.screen import Screen

    sys.exit(nodes.pool(action, host, Screen(as_json=as_json)))
