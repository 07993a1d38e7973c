"""`rbee-keeper config …`: nodes in the config file, and the effective settings."""

from __future__ import annotations

import click

from rbee.keeper.cli import flags


@click.group()
def config() -> None:
    """Edit the nodes in the config file, and show the settings.

    \b
        rbee-keeper config show

    The config file is the first that exists of $RBEE_CONFIG, ~/.config/rbee/config.toml and
    /etc/rbee/config.toml.
    """


@config.command("set-ssh")
@flags.other_node
@click.option("--host", "ssh_host", required=True, help="The address, or a host in ~/.ssh/config.")
@click.option("--user", "ssh_user", help="The user [default: ~/.ssh/config, else your own name].")
@flags.file_option("--key", "ssh_key_path", help="A private key [default: ~/.ssh/config, agent].")
@click.option(
    "--port", "ssh_port", type=flags.port, help="The SSH port [default: ~/.ssh/config, else 22]."
)
def set_ssh(**given: object) -> None:
    """Write to the config file how SSH reaches a node.

    \b
        rbee-keeper config set-ssh --node workstation --host workstation.home.arpa --user me

    Comments and other keys of the file are kept. The connection is not tested; to test it, run
    rbee-keeper hive status --node workstation.
    """
    from rbee.keeper.commands import config as commands

    commands.set_ssh(**given)


@config.command("list-nodes")
@flags.as_json
def list_nodes(**given: object) -> None:
    """List the computers, like setup list-nodes.

    \b
        rbee-keeper config list-nodes
    """
    from rbee.keeper.commands import setup as commands

    commands.list_nodes(**given)


@config.command("remove-node")
@flags.other_node
def remove_node(**given: object) -> None:
    """Remove a node from the config file and the registry.

    \b
        rbee-keeper config remove-node --node workstation

    A hive that the queen has started there ends; everything else on the node stays.
    """
    from rbee.keeper.commands import config as commands

    commands.remove(**given)


@config.command()
def show() -> None:
    """Print the effective settings as TOML.

    \b
        rbee-keeper config show
    """
    from rbee.keeper.commands import config as commands

    commands.show()
