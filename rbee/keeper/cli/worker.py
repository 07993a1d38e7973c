"""`rbee-keeper worker …`, and `workers …`, which is the same."""

from __future__ import annotations

import sys

import click

from rbee.keeper.cli import flags


@click.group()
def worker() -> None:
    """Start, end, list and check workers: each is one model in memory.

    \b
        rbee-keeper worker start --node workstation --model qwen-0.5b
    """


@click.group()
def workers() -> None:
    """List, check and end workers: as worker list, health and stop.

    \b
        rbee-keeper workers list
    """


@worker.command()
@flags.some_node
@flags.model_option(required=True, help="Which model.")
@click.option("--backend", help="cpu, cuda, metal … [default: the best one there].")
@click.option("--device", type=int, help="Which device of the backend.")
@click.option("--slots", type=int, help="How many answers at once [default: config].")
@click.option("--context", type=int, help="Tokens that all slots share [default: config].")
@click.option("--force", is_flag=True, help="Load the model though the memory may not do.")
@click.option("--json", "as_json", is_flag=True, help="Every event as a line of JSON.")
@click.option("--quiet", is_flag=True, help="No narration.")
def start(quiet: bool, **fields: object) -> None:
    """Load a model on a machine before anybody asks it.

    \b
        rbee-keeper worker start --node workstation --model qwen-0.5b --slots 8

    A new worker is started even where one has the model. It ends when nobody has asked it for
    [hive] idle_timeout_s; the queen lasts: rbee-keeper daemon stop ends both.
    """
    _worker("start", fields, quiet)


@click.command()
@flags.one_worker
@flags.as_json
def stop(**fields: object) -> None:
    """End a worker; running answers may end within the grace.

    \b
        rbee-keeper worker stop --id worker-4f1c
    """
    _worker("stop", fields)


@click.command("list")
@flags.every_node
@flags.as_json
def list_(**fields: object) -> None:
    """List the workers of all machines.

    \b
        rbee-keeper worker list
    """
    _worker("list", fields)


@click.command()
@flags.every_node
@flags.as_json
def health(**fields: object) -> None:
    """Ask every worker how it is; exit code 1 unless all are healthy.

    \b
        rbee-keeper worker health --node workstation
    """
    _worker("health", fields)


for _command in (stop, list_, health):
    worker.add_command(_command)
    workers.add_command(_command, "shutdown" if _command is stop else None)


def _worker(action: str, fields: dict[str, object], quiet: bool = False) -> None:
    from rbee.keeper.app import workers
    from rbee.runtime.screen import Screen

    as_json = bool(fields.pop("as_json"))
    sys.exit(workers.worker(action, fields, Screen(quiet, as_json, streams=action == "start")))
