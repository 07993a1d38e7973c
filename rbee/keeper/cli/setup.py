"""`rbee-keeper setup …`: the computers that rbee may use."""

from __future__ import annotations

import click

from rbee.keeper.cli import flags


@click.group()
def setup() -> None:
    """Add, list and remove other computers, and install rbee on them.

    \b
        rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa
        rbee-keeper setup install --node workstation --wheel
        rbee-keeper infer --node workstation --model qwen-0.5b --prompt "write a short story"
    """


@setup.command("add-node")
@click.option("--name", "node_name", required=True, help="The name that you give it.")
@click.option("--ssh-host", help="The address, or a host in ~/.ssh/config.")
@click.option("--ssh-port", type=flags.port, help="The SSH port [default: ~/.ssh/config, else 22].")
@click.option("--ssh-user", help="The user [default: ~/.ssh/config, else your own name].")
@flags.file_option(
    "--ssh-key", "ssh_key_path", help="A private key [default: ~/.ssh/config, agent]."
)
@click.option("--git-repo", "git_repo_url", help="The repository that setup install clones.")
@click.option("--git-branch", help="Its branch [default: main].")
@click.option("--install-path", help="The folder for rbee on the node; ~/ is the home there.")
@click.option("--hive-url", help="A hive that you have started there: http://HOST:PORT.")
@click.option("--hive-port", type=flags.port, help="The port of its hive [default: 9200].")
@flags.file_option("--api-key-file", help="A local file with the key of a hive that runs there.")
@click.option("--tunnel", is_flag=True, help="Reach its hive and workers through SSH only.")
@click.option("--mac", help="Its MAC address, to wake it when it is needed (Wake-on-LAN).")
@click.option("--wake/--no-wake", default=None, help="--no-wake: wake it by setup wake only.")
@click.option(
    "--wake-address", help="Where the packet goes that wakes it [default: 255.255.255.255]."
)
@click.option("--accept-host-key", help="Trust the host key with this fingerprint, SHA256:….")
def add_node(**given: object) -> None:
    """Add a computer, after testing that SSH reaches it.

    \b
        rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa

    If its host key is unknown, it is shown and you are asked. Adding a node again replaces its
    settings. A hive that you have started there yourself needs no SSH:

    \b
        rbee-keeper setup add-node --name attic --hive-url http://attic.home.arpa:9200 \\
            --api-key-file ~/attic.key
    """
    from rbee.keeper.commands import setup as commands

    commands.add(**given)


@setup.command("list-nodes")
@flags.as_json
def list_nodes(**given: object) -> None:
    """List the computers, and when each was last reached.

    \b
        rbee-keeper setup list-nodes
    """
    from rbee.keeper.commands import setup as commands

    commands.list_nodes(**given)


@setup.command("remove-node")
@flags.node_option("--name", "node_name", other=True, required=True, help="The node's name.")
def remove_node(**given: object) -> None:
    """Remove a computer from the registry.

    \b
        rbee-keeper setup remove-node --name workstation

    A hive that the queen has started there ends; everything else on the node stays.
    """
    from rbee.keeper.commands import setup as commands

    commands.remove(**given)


@setup.command()
@flags.other_node
@flags.as_events
@flags.quiet
def wake(**given: object) -> None:
    """Wake a node by Wake-on-LAN, and wait until it answers.

    \b
        rbee-keeper setup wake --node workstation

    Its MAC address must be known (add-node --mac). A node on which a model is to run is woken
    without this.
    """
    from rbee.keeper.commands import setup as commands

    commands.wake(**given)


@setup.command()
@flags.other_node
@click.option("--wheel", is_flag=True, help="Send this installation; the node needs no git.")
@click.option(
    "--backend",
    type=click.Choice(["cpu", "cuda", "metal", "vulkan"]),
    help="Build llama.cpp for this backend there.",
)
def install(**given: object) -> None:
    """Install or update rbee on a node.

    \b
        rbee-keeper setup install --node workstation --wheel --backend cuda

    The node's branch of the repository is cloned into its install path. With --wheel, this
    installation is sent instead.
    """
    from rbee.keeper.commands import setup as commands

    commands.install(**given)
