"""`rbee-keeper models …`."""

from __future__ import annotations

import sys

import click

from rbee.keeper.cli import flags


@click.group()
def models() -> None:
    """Fetch, list, check and delete models.

    \b
    A MODEL is written as
        hf:owner/repo                 a quantization is chosen, Q4_K_M if there
        hf:owner/repo:Q8_0            this quantization
        hf:owner/repo/path/file.gguf  this file
    or as an alias of the config file.
    """


_model = click.argument("model")


@models.command()
@_model
@flags.some_node
@click.option("--detach", is_flag=True, help="Do not wait: the download goes on by itself.")
@flags.as_json
def download(**fields: object) -> None:
    """Fetch MODEL from Hugging Face; its path is printed.

    \b
        rbee-keeper models download hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0

    A download that breaks off goes on where it stopped when it is asked for again.
    """
    _models("download", fields)


@models.command("list")
@flags.some_node
@flags.as_json
def list_(**fields: object) -> None:
    """List the models, also those that are partly there."""
    _models("list", fields)


@models.command()
@_model
@flags.some_node
@flags.as_json
def info(**fields: object) -> None:
    """Tell what is known of MODEL, on the machine or on the Hub.

    \b
        rbee-keeper models info hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF

    Of one that is not there yet only the header is fetched.
    """
    _models("info", fields)


@models.command()
@_model
@flags.some_node
@flags.as_json
def verify(**fields: object) -> None:
    """Hash MODEL again and compare."""
    _models("verify", fields)


@models.command()
@_model
@flags.some_node
@flags.as_json
def delete(**fields: object) -> None:
    """Delete MODEL, or what there is of it; refused while a worker holds it."""
    _models("delete", fields)


@models.command("disk-usage")
@flags.some_node
@flags.as_json
def disk_usage(**fields: object) -> None:
    """Tell what the models take, and what is free."""
    _models("disk-usage", fields)


def _models(action: str, fields: dict[str, object]) -> None:
    from rbee.keeper.adapters.screen import Screen
    from rbee.keeper.app import work

    as_json = bool(fields.pop("as_json"))
    sys.exit(work.models(action, fields, Screen(as_json=as_json)))
