"""The hive's command line."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING

import click

from rbee import __version__
from rbee.runtime.daemon_flags import daemon_flags
from rbee.runtime.daemon_settings import settings_or_exit
from rbee.runtime.usage import Group

if TYPE_CHECKING:
    from rbee.hive.local.commands import Work


@click.group(cls=Group)
@click.version_option(__version__, prog_name="rbee-hive")
def main() -> None:
    """Manage the models and workers of this machine. The queen starts hives as it needs them.

    \b
        rbee-hive daemon
    """


@main.command()
@daemon_flags(default_port=None)
@click.option("--addr", metavar="HOST:PORT", help="The same as --host and --port.")
def daemon(addr: str | None, **flags: object) -> None:
    """Listen for the queen, by default on 127.0.0.1:9200.

    Start it yourself on a machine whose hive should outlive every command:

        rbee-hive daemon
    """
    if addr is not None:
        host, _, port = addr.rpartition(":")
        if not host or not port.isdigit():
            raise click.BadParameter("write it as HOST:PORT", param_hint="--addr")
        flags |= {"host": host, "port": int(port)}
    from rbee.hive.start import start

    start(flags)


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_model = click.argument("model")


@main.command()
@_json
def detect(as_json: bool) -> None:
    """Show the devices of this machine, and which of them the installed llama.cpp can use.

    \b
        rbee-hive detect

    If it can't use all of them, the command that fixes it is shown.
    """
    from rbee.hive.local import commands

    _run(commands.detect, as_json)


@main.command()
@_json
def status(as_json: bool) -> None:
    """Show whether a hive runs on this machine, and its workers. Exits with 1 if none runs.

    \b
        rbee-hive status
    """
    from rbee.hive.local import commands

    _run(commands.status, as_json)


@main.group()
def models() -> None:
    """Fetch, list, check and delete this machine's models, with or without a hive.

    \b
        rbee-hive models list

    From another machine: rbee-keeper models … --node NODE, whose help also says how to write a
    MODEL.
    """


@models.command("list")
@_json
def list_(as_json: bool) -> None:
    """List the models, including those that are only partly here.

    \b
        rbee-hive models list
    """
    from rbee.hive.local import commands

    _run(commands.list_models, as_json)


@models.command()
@_model
@_json
def download(model: str, as_json: bool) -> None:
    """Fetch MODEL from Hugging Face and print its path.

    \b
        rbee-hive models download hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0
    """
    from rbee.hive.local import commands

    _run(functools.partial(commands.download, model=model), as_json)


@models.command()
@_model
@_json
def info(model: str, as_json: bool) -> None:
    """Show what is known about MODEL, on this machine or on the Hub.

    \b
        rbee-hive models info hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF
    """
    from rbee.hive.local import commands

    _run(functools.partial(commands.info, model=model), as_json)


@models.command()
@_model
@_json
def verify(model: str, as_json: bool) -> None:
    """Hash MODEL again and compare.

    \b
        rbee-hive models verify hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0
    """
    from rbee.hive.local import commands

    _run(functools.partial(commands.verify, model=model), as_json)


@models.command()
@_model
@_json
def delete(model: str, as_json: bool) -> None:
    """Delete MODEL, whole or partial. Refused while a worker uses it.

    \b
        rbee-hive models delete hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0
    """
    from rbee.hive.local import commands

    _run(functools.partial(commands.delete, model=model), as_json)


@models.command("disk-usage")
@_json
def disk_usage(as_json: bool) -> None:
    """Show how much space the models take, and how much is free.

    \b
        rbee-hive models disk-usage
    """
    from rbee.hive.local import commands

    _run(commands.disk_usage, as_json)


def _run(work: Work, as_json: bool) -> None:
    from rbee.hive.local import commands

    sys.exit(commands.run(work, settings_or_exit({}), as_json))
