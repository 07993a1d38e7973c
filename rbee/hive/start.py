"""The hive from its flags on, whoever gave them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import NoReturn

from rbee.hive.settings import HiveSettings
from rbee.hive.workers.standby import Standby
from rbee.runtime.daemon_settings import daemon_settings


def start(flags: Mapping[str, object]) -> NoReturn:
    """Run the hive until it is told to end, and exit."""
    settings = daemon_settings(HiveSettings, "hive", flags)
    # Before the hive's own imports: they are ready at the same time.
    standby = Standby(settings.config)
    standby.start()
    try:
        from rbee.hive.app import main as run

        sys.exit(run(settings, standby))
    finally:
        standby.close()
