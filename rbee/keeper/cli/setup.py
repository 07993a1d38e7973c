"""`rbee-keeper setup …`: the computers that rbee may use."""

from __future__ import annotations

import sys

import click

from rbee.keeper.cli import flags


@click.group()
def setup() -> None:
    """Add, list, remove and install other computers.

    \b
        rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa
        rbee-keeper setup install --node workstation --wheel
        rbee-keeper infer --node workstation --model qwen-0.5b --prompt "write a short story"
    """


@setup.command("add-node")
@click.option("--name", "node_name", required=True, help="How you call it.")
@click.option("--ssh-host", help="Its address, or its name in ~/.ssh/config.")
@click.option("--ssh-port", type=flags.port, help="[default: ~/.ssh/config, else 22]")
@click.option("--ssh-user", help="[default: ~/.ssh/config, else your own name]")
@flags.file_option(
    "--ssh-key", "ssh_key_path", help="A private key [default: ~/.ssh/config, agent]."
)
@click.option("--git-repo", "git_repo_url", help="Where setup install clones rbee from.")
@click.option("--git-branch", help="Which branch of it [default: main].")
@click.option("--install-path", help="The folder of rbee there; ~/ is the home there.")
@click.option("--hive-url", help="A hive that somebody started there: http://HOST:PORT.")
@click.option("--hive-port", type=flags.port, help="The port of its hive [default: 9200].")
@flags.file_option("--api-key-file", help="The file, here, with the key of a hive that runs there.")
@click.option("--tunnel", is_flag=True, help="Reach its hive and workers through SSH only.")
@click.option("--accept-host-key", help="Trust this fingerprint, SHA256:…, of its host key.")
def add_node(**fields: object) -> None:
    """Add a computer that SSH reaches; it is tested first.

    \b
        rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa

    A host key that is not known yet is shown, and you are asked. Adding a node again replaces what
    was known of it. A hive that you have started there yourself needs no SSH:

    \b
        rbee-keeper setup add-node --name attic --hive-url http://attic.home.arpa:9200 \\
            --api-key-file ~/attic.key
    """
    _setup("add-node", fields)


@setup.command("list-nodes")
@flags.as_json
def list_nodes(**fields: object) -> None:
    """List the computers, and when each was last reached.

    \b
        rbee-keeper setup list-nodes
    """
    _setup("list-nodes", fields)


@setup.command("remove-node")
@flags.node_option("--name", "node_name", other=True, required=True, help="The node's name.")
def remove_node(**fields: object) -> None:
    """Forget a computer.

    \b
        rbee-keeper setup remove-node --name workstation

    A hive that the queen has started there ends, all else there stays.
    """
    _setup("remove-node", fields)


@setup.command()
@flags.node_option("--node", "node_name", other=True, required=True, help="The node's name.")
@click.option("--wheel", is_flag=True, help="Send this installation; needs no git there.")
@click.option(
    "--backend",
    type=click.Choice(["cpu", "cuda", "metal", "vulkan"]),
    help="Build llama.cpp for it there.",
)
def install(**fields: object) -> None:
    """Install rbee on a node, or bring it up to date.

    \b
        rbee-keeper setup install --node workstation --wheel --backend cuda

    The repository is cloned at the node's branch into its install path; with --wheel this
    installation is sent instead.
    """
    _setup("install", fields)


def _setup(action: str, fields: dict[str, object]) -> None:
    from rbee.keeper.app import nodes
    from rbee.runtime.screen import Screen

    as_json = bool(fields.pop("as_json", False))
    sys.exit(nodes.setup(action, fields, Screen(as_json=as_json)))
