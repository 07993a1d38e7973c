"""`rbee-keeper auth …`: keys that open the queen, and certificates that prove which queen it is."""

from __future__ import annotations

import click

from rbee.keeper.cli import flags


@click.group()
def auth() -> None:
    """API keys and certificates: let others use your queen.

    \b
        rbee-keeper auth create laptop > laptop.key
    """


@auth.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["use", "manage"]),
    help="use: ask models and list them; manage: everything [default: use].",
)
@click.option("--limit", type=int, help="How many of its tasks may run or wait at once.")
@click.option("--queue-limit", type=int, help="How many of its tasks may wait for a slot.")
@click.option(
    "--weight", type=float, help="Its share of the tokens while others wait, too [default: 1]."
)
@flags.model_option(
    "--models", multiple=True, help="A model that it may use [default: all]; may be given again."
)
@flags.as_json
def create(models: tuple[str, ...], **given: object) -> None:
    """Create a key called NAME, and print it: it is shown this once.

    \b
        rbee-keeper auth create laptop > laptop.key
        rbee-keeper auth create family --weight 2 --queue-limit 4
        rbee-keeper auth create phone --limit 1 --models qwen-0.5b --models hf:owner/repo:Q4_K_M

    A key of the role use asks models, and lists models and workers. It can't cancel what others
    ask, nor use a file by its path unless --models, an alias or [models] default names it.
    hf:owner/repo allows every quantization of it.
    """
    from rbee.keeper.commands import auth as commands

    commands.create(models=list(models) or None, **given)


@auth.command()
@flags.key_argument
@flags.number_or_none(
    "--limit", help="How many of its tasks may run or wait at once; none for no limit."
)
@flags.number_or_none(
    "--queue-limit",
    help="How many of its tasks may wait for a slot; none for no limit of its own.",
)
@click.option("--weight", type=float, help="Its share of the tokens while others wait, too.")
@flags.as_json
def change(name: str, **given: object) -> None:
    """Change the limits or the weight of the key called NAME, which stays the same key.

    \b
        rbee-keeper auth change laptop --weight 2 --queue-limit none

    It counts at once, and what the key has asked for goes on.
    """
    if all(given[flag] is None for flag in ("limit", "queue_limit", "weight")):
        raise click.UsageError("Say what to change: --limit, --queue-limit or --weight.")
    from rbee.keeper.commands import auth as commands

    commands.change(name, **given)


@auth.command("list")
@flags.as_json
def list_(**given: object) -> None:
    """List the keys: what they open, and when they were last used.

    \b
        rbee-keeper auth list
    """
    from rbee.keeper.commands import auth as commands

    commands.show_list(**given)


@auth.command()
@flags.key_argument
def revoke(**given: object) -> None:
    """Revoke the key called NAME: what it asked for ends at once.

    \b
        rbee-keeper auth revoke laptop
    """
    from rbee.keeper.commands import auth as commands

    commands.revoke(**given)


@auth.command()
@click.option(
    "--name", multiple=True, help="Another host name or IP address of this machine (repeatable)."
)
@click.option(
    "--days",
    type=click.IntRange(1, 825),
    default=397,
    show_default=True,
    help="How long the certificate is valid.",
)
@click.option("--use", is_flag=True, help="Name the certificate in the config file, under [queen].")
@click.option("--new-ca", is_flag=True, help="Replace the CA, which everything has to trust again.")
@flags.as_json
def certificate(**given: object) -> None:
    """Make a certificate for the queen of this machine, so that it speaks HTTPS.

    \b
        rbee-keeper auth certificate --use

    The first time it makes a CA, too, which can sign only for this machine and for local networks,
    and shows how other machines and programs come to trust it. Later it renews the certificate; a
    queen that runs reads the new one by itself. All files are in ~/.rbee.
    """
    from rbee.keeper.commands import certificate as commands

    commands.certificate(**given)
