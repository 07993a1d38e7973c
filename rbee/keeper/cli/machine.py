"""`rbee-keeper install`, `doctor`, `detect` and `completion`: this computer itself."""

from __future__ import annotations

import click

from rbee.keeper.cli import flags


@click.command()
@click.option("--user", is_flag=True, help="Install for you alone, in your home [the default].")
@click.option("--system", is_flag=True, help="Install for everyone on this machine.")
@flags.folder_option("--root", metavar="DIR", help="With --system: install below DIR, not /.")
@click.option("--systemd", is_flag=True, help="Also write systemd units for queen and hive.")
def install(user: bool, system: bool, root: str | None, systemd: bool) -> None:
    """Put the four programs on PATH, and create a config file to edit.

    \b
        rbee-keeper install
        sudo rbee-keeper install --system --systemd

    Whatever exists already is left alone, so you can install again at any time. --user uses
    ~/.local/bin, ~/.config/rbee and ~/.rbee; --system uses /usr/local/bin, /etc/rbee and
    /var/lib/rbee.
    """
    if user and system:
        raise click.UsageError("--user and --system can't be combined.")
    if root is not None and not system:
        raise click.UsageError("--root needs --system.")
    if root == "":
        raise click.UsageError("--root is empty. Name a folder.")
    from rbee.keeper.commands import install as commands

    commands.install(system, root, systemd)


@click.command()
@flags.as_json
def doctor(**given: object) -> None:
    """Check everything, and say what is wrong and what to type.

    \b
        rbee-keeper doctor

    This covers config, programs, keys, permissions, databases, disk, memory, backends and ports,
    and for each node whether it can be reached, its version and its clock. Nothing is changed, and
    nothing keeps running. If a queen has to be started to ask the nodes, it leaves its usual files
    in ~/.rbee: a key, databases and logs. The exit code is 1 if there is a problem, marked ✗; a
    warning is marked !.
    """
    from rbee.keeper.commands import doctor as commands

    commands.doctor(**given)


@click.command()
@flags.some_node
@flags.as_json
def detect(**given: object) -> None:
    """Show what a machine can compute on.

    \b
        rbee-keeper detect
        rbee-keeper detect --node workstation

    For this machine, it also shows the hardware that its llama.cpp can't use, and the command that
    fixes it.
    """
    from rbee.keeper.commands import detect as commands

    commands.detect(**given)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and names with Tab.

    \b
    bash, in ~/.bashrc:
        eval "$(rbee-keeper completion bash)"
    zsh, in ~/.zshrc, after compinit:
        eval "$(rbee-keeper completion zsh)"
    fish, once:
        rbee-keeper completion fish > ~/.config/fish/completions/rbee-keeper.fish

    Nodes, models and workers are completed from the queen that runs; none is started for this.
    """
    from rbee.keeper.cli import shells

    click.echo(shells.script(ctx.find_root().command, shell), nl=False)
