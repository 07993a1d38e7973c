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

    \b
        rbee-keeper models download hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF
    """


@models.command()
@flags.one_model
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
    """List the models, also those that are partly there.

    \b
        rbee-keeper models list --node workstation
    """
    _models("list", fields)


@models.command()
@flags.one_model
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
@flags.one_model
@flags.some_node
@flags.as_json
def verify(**fields: object) -> None:
    """Hash MODEL again and compare.

    \b
        rbee-keeper models verify hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0
    """
    _models("verify", fields)


@models.command()
@flags.one_model
@flags.some_node
@flags.as_json
def delete(**fields: object) -> None:
    """Delete MODEL, or what there is of it; refused while a worker holds it.

    \b
        rbee-keeper models delete hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0
    """
    _models("delete", fields)


@models.command("disk-usage")
@flags.some_node
@flags.as_json
def disk_usage(**fields: object) -> None:
    """Tell what the models take, and what is free.

    \b
        rbee-keeper models disk-usage
    """
    _models("disk-usage", fields)


def _models(action: str, fields: dict[str, object]) -> None:
    from rbee.keeper.app import work
    from rbee.runtime.screen import Screen

    as_json = bool(fields.pop("as_json"))
    sys.exit(
        work.models(
            action, fields, Screen(as_json=as_json, streams=action in ("download", "verify"))
        )
    )
