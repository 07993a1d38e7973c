"""`rbee-keeper config …`: nodes in the config file, and what is in force."""

from __future__ import annotations

import sys

import click

from rbee.keeper.cli import flags


@click.group()
def config() -> None:
    """Keep nodes in the config file, and show the settings.

    \b
        rbee-keeper config show

    The file is the first of $RBEE_CONFIG, ~/.config/rbee/config.toml and /etc/rbee/config.toml that
    exists.
    """


@config.command("set-ssh")
@flags.other_node
@click.option("--host", "ssh_host", required=True, help="Its address, or a name of ~/.ssh/config.")
@click.option("--user", "ssh_user", help="[default: ~/.ssh/config, else your own name]")
@flags.file_option("--key", "ssh_key_path", help="A private key [default: ~/.ssh/config, agent].")
@click.option("--port", "ssh_port", type=flags.port, help="[default: ~/.ssh/config, else 22]")
def set_ssh(**fields: object) -> None:
    """Write into the config file how SSH reaches a node.

    \b
        rbee-keeper config set-ssh --node workstation --host workstation.home.arpa --user me

    Comments and all other keys of the file stay as they are. The node is not tried:
    rbee-keeper hive status --node workstation does that.
    """
    _config("set-ssh", fields)


@config.command("list-nodes")
@flags.as_json
def list_nodes(**fields: object) -> None:
    """List the computers, as setup list-nodes does.

    \b
        rbee-keeper config list-nodes
    """
    _config("list-nodes", fields)


@config.command("remove-node")
@flags.other_node
def remove_node(**fields: object) -> None:
    """Take a node out of the config file and out of the registry.

    \b
        rbee-keeper config remove-node --node workstation

    A hive that the queen has started there ends, all else there stays.
    """
    _config("remove-node", fields)


@config.command()
def show(**fields: object) -> None:
    """Print the settings that are in force, as TOML.

    \b
        rbee-keeper config show
    """
    _config("show", fields)


def _config(action: str, fields: dict[str, object]) -> None:
    from rbee.keeper.app import nodes
    from rbee.runtime.screen import Screen

    as_json = bool(fields.pop("as_json", False))
    sys.exit(nodes.config(action, fields, Screen(as_json=as_json)))
