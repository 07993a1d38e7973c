"""The hive's settings, from flags and the config file."""

from __future__ import annotations

from rbee.runtime.daemon_settings import DaemonSettings


class HiveSettings(DaemonSettings, frozen=True, kw_only=True):
    """Beside them the hive uses the sections hive, worker, models and times of `config`."""
