"""The keeper's command line: a group, and a file for each kind of command. It imports click only.

That keeps `--help` fast: what a command does is imported by the command that runs.
"""

from __future__ import annotations

import click

from rbee import __version__
from rbee.keeper.cli.sections import Sections


@click.group(cls=Sections, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "-v", "--version", prog_name="rbee-keeper")
def main() -> None:
    """Run language models on the computers of your home lab.

    \b
        rbee-keeper infer --prompt "write a short story"

    This starts what it needs, prints the answer as it is generated, and leaves nothing running. To
    keep models loaded between commands, use rbee-keeper daemon start. To use another computer:

    \b
        rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa
    """
