"""The hive's command line."""

from __future__ import annotations

import sys

import click

from rbee import __version__
from rbee.hive.settings import HiveSettings
from rbee.runtime.daemon_flags import daemon_flags, settings_or_exit, show_settings


@click.group()
@click.version_option(__version__, prog_name="rbee-hive")
def main() -> None:
    """Own the models and workers of this machine. The queen starts hives by itself.

    \b
        rbee-hive daemon
    """


@main.command()
@daemon_flags(default_port=None)
@click.option("--addr", metavar="HOST:PORT", help="The same as --host and --port.")
def daemon(addr: str | None, **flags: object) -> None:
    """Listen for the queen, by default on 127.0.0.1:9200.

    By hand, for a machine whose hive should outlive every command:

        rbee-hive daemon
    """
    if addr is not None:
        host, _, port = addr.rpartition(":")
        if not host or not port.isdigit():
            raise click.BadParameter("write it as HOST:PORT", param_hint="--addr")
        flags |= {"host": host, "port": int(port)}
    config = settings_or_exit({f"hive.{name}": flags[name] for name in ("host", "port")})
    if flags["show_settings"]:
        show_settings(config)
        return
    from rbee.hive.app import main as run

    settings = HiveSettings(
        host=config.hive.host,
        port=config.hive.port,
        lifeline=bool(flags["lifeline"]),
        insecure=bool(flags["insecure"]),
        config=config,
    )
    sys.exit(run(settings))


_json = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
_model = click.argument("model")


@main.command()
@_json
def detect(as_json: bool) -> None:
    """Tell what this machine has, beside what the installed llama.cpp can use of it.

    \b
        rbee-hive detect

    Where they differ, the command that mends it.
    """
    from rbee.hive.local import commands as by_hand

    sys.exit(by_hand.run(by_hand.detect, settings_or_exit({}), as_json))


@main.command()
@_json
def status(as_json: bool) -> None:
    """Say whether a hive runs on this machine and what it has loaded; exit code 1 where none runs.

    \b
        rbee-hive status
    """
    from rbee.hive.local import commands as by_hand

    sys.exit(by_hand.run(by_hand.status, settings_or_exit({}), as_json))


@main.group()
def models() -> None:
    """Fetch, list, check and delete this machine's models, with or without a hive.

    \b
        rbee-hive models list

    From elsewhere: rbee-keeper models … --node NODE, which also says how a MODEL is written.
    """


@models.command("list")
@_json
def list_(as_json: bool) -> None:
    """List the models, also those that are partly there.

    \b
        rbee-hive models list
    """
    _models("list", as_json)


@models.command()
@_model
@_json
def download(model: str, as_json: bool) -> None:
    """Fetch MODEL from Hugging Face; its path is printed.

    \b
        rbee-hive models download hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0
    """
    _models("download", as_json, model)


@models.command()
@_model
@_json
def info(model: str, as_json: bool) -> None:
    """Tell what is known of MODEL, on this machine or on the Hub.

    \b
        rbee-hive models info hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF
    """
    _models("info", as_json, model)


@models.command()
@_model
@_json
def verify(model: str, as_json: bool) -> None:
    """Hash MODEL again and compare.

    \b
        rbee-hive models verify hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0
    """
    _models("verify", as_json, model)


@models.command()
@_model
@_json
def delete(model: str, as_json: bool) -> None:
    """Delete MODEL, or what there is of it; refused while a worker holds it.

    \b
        rbee-hive models delete hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0
    """
    _models("delete", as_json, model)


@models.command("disk-usage")
@_json
def disk_usage(as_json: bool) -> None:
    """Tell what the models take, and what is free.

    \b
        rbee-hive models disk-usage
    """
    _models("disk-usage", as_json)


def _models(action: str, as_json: bool, model: str = "") -> None:
    from rbee.hive.local import commands as by_hand

    sys.exit(by_hand.run(by_hand.models(action, model), settings_or_exit({}), as_json))
