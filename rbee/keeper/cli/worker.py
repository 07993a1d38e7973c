"""`rbee-keeper worker …`, `workers …`, which is the same, and `logs`."""

from __future__ import annotations

import click

from rbee.keeper.cli import flags

# As in the contract, which --help need not import.
_MAX_LINES = 10_000


@click.group()
def worker() -> None:
    """Start, stop, list and check workers. A worker is one model in memory.

    \b
        rbee-keeper worker start qwen-0.5b --node workstation
    """


@click.group()
def workers() -> None:
    """List, check and stop workers, like worker list, health and stop.

    \b
        rbee-keeper workers list
    """


@worker.command()
@click.argument("model", required=False, shell_complete=flags.known_models)
@flags.chosen_node
@flags.model_option("--model", "named", help="The model to load, like MODEL.")
@flags.backend
@flags.device
@click.option("--slots", type=int, help="How many answers at once [default: config].")
@click.option("--context", type=int, help="Tokens that all slots share [default: config].")
@flags.force
@flags.explain
@flags.as_events
@flags.quiet
@flags.verbose
def start(model: str | None, named: str | None, **given: object) -> None:
    """Load MODEL before the first question.

    \b
        rbee-keeper worker start qwen-0.5b --node workstation --slots 8

    Without --node the queen chooses: where the model is, and where it fits. A new worker is started
    even if another one has loaded the model. It ends when it has been idle
    for [hive] idle_timeout_s. The queen keeps running; rbee-keeper daemon stop ends both.
    """
    from rbee.keeper.commands import worker as commands

    if model is not None and named is not None:
        raise click.UsageError("Name the model once: MODEL or --model.")
    if model is None and named is None:
        raise click.UsageError("Name the model to load: rbee-keeper worker start MODEL")
    commands.start(model=named if model is None else model, **given)


@click.command()
@click.argument("model", required=False, shell_complete=flags.known_models)
@flags.one_worker
@flags.as_json
def stop(model: str | None, worker_id: str | None, **given: object) -> None:
    """Stop one worker, or all that hold MODEL; running answers may finish within the grace period.

    \b
        rbee-keeper worker stop --id worker-4f1c
        rbee-keeper worker stop qwen-0.5b
    """
    from rbee.keeper.commands import worker as commands

    if (model is None) == (worker_id is None):
        raise click.UsageError("Name either MODEL or --id.")
    if model is not None:
        commands.stop_model(model=model, **given)
    commands.stop(worker_id=worker_id, **given)


@click.command("list")
@flags.every_node
@click.option(
    "--all", "everything", is_flag=True, help="Also list the standby workers, with their memory."
)
@flags.as_json
def list_(**given: object) -> None:
    """List the workers of all machines.

    \b
        rbee-keeper worker list

    A standby worker is a process without a model, which becomes the next worker: [hive]
    standby_workers in the config file.
    """
    from rbee.keeper.commands import worker as commands

    commands.show_list(**given)


@click.command()
@flags.every_node
@flags.as_json
def health(**given: object) -> None:
    """Check the health of every worker; exit code 1 unless all are healthy.

    \b
        rbee-keeper worker health --node workstation
    """
    from rbee.keeper.commands import worker as commands

    commands.health(**given)


for _command in (stop, list_, health):
    worker.add_command(_command)
    workers.add_command(_command, "shutdown" if _command is stop else None)


@click.command()
@flags.node_option(help="Show this node only [default: every node whose hive runs or starts].")
@click.option("--follow", is_flag=True, help="Keep showing new lines until Ctrl+C.")
@click.option(
    "--lines",
    type=click.IntRange(0, _MAX_LINES),
    default=100,
    show_default=True,
    help="Show this many of the last lines.",
)
@click.option("--json", "as_events", is_flag=True, help="Print each log line as JSON.")
@flags.quiet
def logs(**given: object) -> None:
    """Show the log of a node's hive and workers.

    \b
        rbee-keeper logs --node workstation --follow

    Each line begins with its source: rbee-hive, or the id of a worker. Following continues when the
    hive ends and another one starts.
    """
    from rbee.keeper.commands import logs as commands

    commands.logs(**given)
