"""The keeper's command line: a group, and a file for each kind of command. Click only."""

from __future__ import annotations

import click

from rbee import __version__
from rbee.keeper.cli import debug
from rbee.keeper.cli.completion import completion
from rbee.keeper.cli.config import config
from rbee.keeper.cli.daemon import daemon
from rbee.keeper.cli.detect import detect
from rbee.keeper.cli.doctor import doctor
from rbee.keeper.cli.hive import hive
from rbee.keeper.cli.infer import infer
from rbee.keeper.cli.install import install
from rbee.keeper.cli.logs import logs
from rbee.keeper.cli.models import models
from rbee.keeper.cli.pool import pool
from rbee.keeper.cli.setup import setup
from rbee.keeper.cli.worker import worker, workers


@click.group()
@click.version_option(__version__, prog_name="rbee-keeper")
def main() -> None:
    """Run language models on the computers of your home lab.

    \b
        rbee-keeper infer --prompt "write a short story"

    starts what it needs, shows the answer as it is made, and leaves nothing running. To keep models
    warm between commands: rbee-keeper daemon start. To use another computer:

    \b
        rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa
    """


for _command in (
    infer,
    models,
    worker,
    workers,
    logs,
    setup,
    config,
    hive,
    daemon,
    detect,
    install,
    doctor,
    completion,
    pool,
):
    main.add_command(_command)
debug.offer(main)
