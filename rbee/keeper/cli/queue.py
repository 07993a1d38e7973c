"""`rbee-keeper queue …`: the tasks that wait and run."""

from __future__ import annotations

import click

from rbee.keeper.cli import flags


@click.group()
def queue() -> None:
    """See which tasks wait and run, why, and cancel them.

    \b
        rbee-keeper queue list
    """


@queue.command("list")
@click.option("--all", "everything", is_flag=True, help="Also list the tasks that run.")
@flags.as_json
def list_(**given: object) -> None:
    """List the tasks that wait, and what each waits for.

    \b
        rbee-keeper queue list --all

    Tasks that want the same model wait in one line, and the position is the place there. A key of
    the role use sees its own tasks.
    """
    from rbee.keeper.commands import queue as commands

    commands.show_list(**given)


@queue.command()
@click.argument("task", metavar="[ID]", required=False, shell_complete=flags.known_tasks)
@click.option(
    "--key", help="Cancel all tasks of the key with this name.", shell_complete=flags.known_keys
)
@click.option("--all", "everything", is_flag=True, help="Cancel all tasks.")
@flags.as_json
def cancel(task: str | None, key: str | None, everything: bool, **given: object) -> None:
    """Cancel the task ID, whether it waits or runs; the beginning of the id is enough.

    \b
        rbee-keeper queue cancel 3f9c
        rbee-keeper queue cancel --key laptop

    A key of the role use cancels its own tasks.
    """
    from rbee.keeper.commands import queue as commands

    if [task is not None, key is not None, everything].count(True) != 1:
        raise click.UsageError("Name one of ID, --key and --all.")
    commands.cancel(task=task, key=key, **given)


@queue.command()
@click.argument("task", metavar="ID", shell_complete=flags.known_tasks)
@flags.as_json
def why(**given: object) -> None:
    """Show what was decided about the task ID, and why; the beginning of the id is enough.

    \b
        rbee-keeper queue why 3f9c

    The queen remembers its last 200 decisions, also on tasks that have ended.
    """
    from rbee.keeper.commands import queue as commands

    commands.why(**given)
