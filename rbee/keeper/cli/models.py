"""`rbee-keeper models …`."""

from __future__ import annotations

import click

from rbee.keeper.cli import flags


@click.group()
def models() -> None:
    """Download, list, check and delete models.

    \b
    A MODEL is written as
        hf:owner/repo                 rbee chooses a quantization, Q4_K_M if possible
        hf:owner/repo:Q8_0            this quantization
        hf:owner/repo/path/file.gguf  this file
    or as an alias of the config file.

    \b
        rbee-keeper models download hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF
    """


@models.command()
@flags.one_model
@flags.chosen_node
@click.option("--detach", is_flag=True, help="Don't wait; download in the background.")
@flags.explain
@flags.as_events
@flags.verbose
def download(**given: object) -> None:
    """Download MODEL from Hugging Face and print its path.

    \b
        rbee-keeper models download hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0

    Without --node it goes where the queen would run the model. A download that broke off resumes
    when you run the command again.
    """
    from rbee.keeper.commands import models as commands

    commands.download(**given)


@models.command("list")
@flags.every_node
@flags.as_json
def list_(**given: object) -> None:
    """List the models, including incomplete downloads, and the aliases.

    \b
        rbee-keeper models list --node workstation

    For this machine no queen is started. The bundled model is a Python package, and listed like
    the others.
    """
    from rbee.keeper.commands import model_list as commands

    commands.show_list(**given)


@models.command()
@flags.one_model
@flags.some_node
@flags.as_json
def info(**given: object) -> None:
    """Describe MODEL, on the machine or on the Hub.

    \b
        rbee-keeper models info hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF

    If the model is not downloaded yet, only its header is fetched.
    """
    from rbee.keeper.commands import models as commands

    commands.info(**given)


@models.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", type=int, help="Show this many repositories at most [default: 10].")
@flags.some_node
@flags.as_json
def search(words: tuple[str, ...], **given: object) -> None:
    """Search the Hub for models in GGUF, most downloaded first.

    \b
        rbee-keeper models search qwen coder

    Each quantization is shown with its size, and whether it fits into the machine's memory. A long
    context needs more: rbee-keeper models info MODEL counts it.
    """
    from rbee.keeper.commands import model_search as commands

    commands.search(words=" ".join(words).removeprefix("hf:"), **given)


@models.command()
@flags.one_model
@flags.some_node
@flags.as_events
def verify(**given: object) -> None:
    """Compute the hash of MODEL again and compare it.

    \b
        rbee-keeper models verify hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0
    """
    from rbee.keeper.commands import models as commands

    commands.verify(**given)


@models.command()
@flags.one_model
@flags.some_node
@flags.as_json
def delete(**given: object) -> None:
    """Delete MODEL, complete or not; refused while a worker uses it.

    \b
        rbee-keeper models delete hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0
    """
    from rbee.keeper.commands import models as commands

    commands.delete(**given)


@models.command("disk-usage")
@flags.every_node
@flags.as_json
def disk_usage(**given: object) -> None:
    """Show how much disk space the models take, and how much is free.

    \b
        rbee-keeper models disk-usage
    """
    from rbee.keeper.commands import models as commands

    commands.disk_usage(**given)
