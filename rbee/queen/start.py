"""The queen from its flags on, whoever gave them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import NoReturn

from rbee.queen.nodes.local_hive import LocalHive
from rbee.queen.settings import QueenSettings
from rbee.runtime.daemon_settings import daemon_settings


def start(flags: Mapping[str, object]) -> NoReturn:
    """Run the queen until it is told to end, and exit."""
    settings = daemon_settings(QueenSettings, "queen", flags)
    # Before the queen's own imports: it is ready at the same time.
    hive = LocalHive(settings.config)
    if flags["with_hive"]:
        hive.prepare()
    try:
        from rbee.queen.app import main as run

        sys.exit(run(settings, hive))
    finally:
        hive.close()
