"""`rbee-keeper completion`: the script that has Tab complete what is typed."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes Tab complete commands, options, nodes, models and workers.

    \b
    bash, in ~/.bashrc:
        eval "$(rbee-keeper completion bash)"
    zsh, in ~/.zshrc, after compinit:
        eval "$(rbee-keeper completion zsh)"
    fish, once:
        rbee-keeper completion fish > ~/.config/fish/completions/rbee-keeper.fish

    Nodes, models and workers are those of the queen that runs; none is started for it.
    """
    from rbee.keeper.cli import shells

    click.echo(shells.script(ctx.find_root().command, shell), nl=False)
